"""Copies of the database: SQLite by ``VACUUM INTO``, PostgreSQL by ``pg_dump``."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings

from server.backup.errors import BackupError


def _is_postgres(database: dict[str, Any]) -> bool:
    return str(database["ENGINE"]).endswith("postgresql")


def _postgres(database: dict[str, Any]) -> dict[str, str]:
    """The environment that tells PostgreSQL's programs where to go; on the command line others would see the password."""
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    return {**os.environ, **{variable: str(database[name]) for variable, name in names.items() if database.get(name)}}


def _run(argv: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError as error:
        msg = f"{argv[0]} not found: install the PostgreSQL client (apt-get install postgresql-client)"
        raise BackupError(msg) from error
    except subprocess.CalledProcessError as error:
        msg = f"{argv[0]} failed: {error.stderr.strip()}"
        raise BackupError(msg) from error
    return done.stdout


def dump(folder: Path) -> str:
    """Write a consistent copy of the database, which may be in use, into ``folder``; gives its name. Raises BackupError."""
    database = settings.DATABASES["default"]
    if _is_postgres(database):
        _run(
            ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={folder / 'database.dump'}"],
            _postgres(database),
        )
        return "database.dump"
    if not Path(database["NAME"]).is_file():
        msg = f"there is no database at {database['NAME']}"
        raise BackupError(msg)
    source = sqlite3.connect(database["NAME"], timeout=60)
    try:
        source.execute("VACUUM INTO ?", [str(folder / "database.sqlite3")])
    finally:
        source.close()
    _check_sqlite(folder / "database.sqlite3")
    return "database.sqlite3"


def _check_sqlite(path: Path) -> None:
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        said = [row[0] for row in database.execute("PRAGMA integrity_check")]
    finally:
        database.close()
    if said != ["ok"]:
        msg = f"{path} is damaged: {said[:3]}"
        raise BackupError(msg)


def require_empty(copy: Path) -> None:
    """Raise BackupError unless ``copy`` fits the configured database and nothing is there yet."""
    database = settings.DATABASES["default"]
    if _is_postgres(database) != (copy.suffix == ".dump"):
        msg = f"{copy.name} does not fit the database of TRIBUTARY_DATABASE_URL: restore into the kind it was made of"
        raise BackupError(msg)
    if not _is_postgres(database):
        if Path(database["NAME"]).exists():
            msg = f"{database['NAME']} exists: move it away first"
            raise BackupError(msg)
        return
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    said = _run(["psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={tables}"], _postgres(database))
    if said.strip() != "0":
        raise BackupError("the database is not empty: make a new one")


def load(copy: Path) -> None:
    """Put a copy made by ``dump`` in place; ask ``require_empty`` first. Raises BackupError."""
    database = settings.DATABASES["default"]
    if _is_postgres(database):
        options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        _run(["pg_restore", *options, f"--dbname={database['NAME']}", str(copy)], _postgres(database))
        return
    _check_sqlite(copy)
    target = Path(database["NAME"])
    with copy.open("rb") as source, target.open("xb") as file:
        target.chmod(0o600)
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())
