"""deploy/backup and deploy/restore, run for real: what comes back is what was there, and what is damaged is refused."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server.backup import archive
from tests import services
from tests.tidy.instance import HOST, manage
from tests.tidy.tools import DEPLOY, ROOT, find

pytestmark = pytest.mark.slow
ACCOUNT = ["accounts", "create", "alice", "--email", "alice@example.org", "--admin", "--password-stdin"]
CONTENT = b"a video"
ORIGINAL = b"the file from which it was made"


def _variables(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIBUTARY_", "DJANGO_"))}
    ours = {"TRIBUTARY_ORIGIN": f"https://{HOST}", "TRIBUTARY_DATA_DIR": str(folder), "TRIBUTARY_LOG_FORMAT": "console"}
    return {**kept, **ours, **more}


def _script(name: str, variables: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [str(DEPLOY / name), *map(str, arguments)]
    # From another directory: administrators do not stand in ours.
    return subprocess.run(argv, env=variables, capture_output=True, text=True, check=False, cwd="/")


def _live(folder: Path, **more: str) -> dict[str, str]:
    """An instance with an account, keys, a video file, an upload in progress. Gives its variables."""
    variables = _variables(folder, **more)
    manage(ROOT, variables, "migrate", "--noinput", "--verbosity", "0")
    argv = [sys.executable, "manage.py", *ACCOUNT]
    subprocess.run(argv, cwd=ROOT, env=variables, input="a long password\n", text=True, check=True, capture_output=True)
    manage(ROOT, variables, "ledger", "status")
    name = _content_name(CONTENT)
    _put(folder / "media" / name, CONTENT)
    _put(folder / "media" / "tmp" / "passing", b"half")
    _put(folder / "uploads" / "1234", b"on its way")
    digest = hashlib.sha256(ORIGINAL).hexdigest()
    _put(folder / "archives" / "vault" / digest[:2] / digest, ORIGINAL)
    _put(folder / "archives" / "vault" / "tmp" / "passing", b"half")
    return variables


def _content_name(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"{digest[:2]}/{digest}.mp4"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _rows(path: Path) -> list[str]:
    database = sqlite3.connect(path)
    try:
        return sorted(database.iterdump())
    finally:
        database.close()


def _files(folder: Path) -> dict[str, bytes]:
    found = {}
    for part in ("secrets", "ledger", "media", "uploads", "archives"):
        found |= {str(path.relative_to(folder)): path.read_bytes() for path in (folder / part).rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if "/tmp/" not in name and name != "ledger/lock"}


def _back_up(variables: dict[str, str], to: Path, *more: object) -> Path:
    done = _script("backup", variables, "--to", to, *more)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """An instance on SQLite."""
    folder = tmp_path_factory.mktemp("live") / "data"
    return folder, _live(folder)


def test_what_comes_back_is_what_was_there(live: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, variables = live
    # The instance is in use: somebody reads, and somebody has written what is not yet in the main file.
    reader = sqlite3.connect(folder / "tributary.sqlite3")
    reader.execute("PRAGMA journal_mode=WAL")
    reader.execute("BEGIN").execute("SELECT count(*) FROM accounts_account").fetchone()
    backup = _back_up(variables, tmp_path / "backups")
    reader.close()
    assert _script("restore", variables, "--check", backup).returncode == 0
    assert backup.stat().st_mode & 0o777 == 0o700

    other = tmp_path / "other"
    new = _variables(other)
    done = _script("restore", new, backup)
    assert done.returncode == 0, done.stderr
    assert _rows(other / "tributary.sqlite3") == _rows(folder / "tributary.sqlite3")
    assert _files(other) == _files(folder)
    assert [name for name in _files(other) if name.startswith("media/")] == [f"media/{_content_name(CONTENT)}"]
    for path in [other / "secrets", *(other / "secrets").iterdir(), other / "tributary.sqlite3", other]:
        assert path.stat().st_mode & 0o077 == 0, path
    # What the ledger published is for the web server in front, as it was; its head and whatever else is there is not.
    published = [path for path in (other / "ledger" / "1").rglob("*") if path.is_file()]
    assert published
    for path in [*published, other / "ledger" / "head"]:
        assert bool(path.stat().st_mode & 0o044) is (path in published), path
    manage(ROOT, new, "migrate", "--check")
    assert "size: 0" not in manage(ROOT, new, "ledger", "status")
    manage(ROOT, new, "ledger", "verify")
    # The private keys can be opened with the sealing key that came back, and the password is still the password.
    ask = (
        "from server.accounts.models import AccountKey, User; from server.core import keys; "
        "print(len([keys.unseal(each.private_sealed) for each in AccountKey.objects.all()]), "
        "User.objects.get().check_password('a long password'))"
    )
    assert manage(ROOT, new, "shell", "--no-imports", "-c", ask).strip() == "2 True"


def test_a_damaged_backup_is_refused_and_nothing_is_touched(live: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    _, variables = live
    backup = _back_up(variables, tmp_path / "backups")
    files = sorted(json.loads((backup / "manifest.json").read_text())["files"])
    assert len(files) >= 5
    for name in files:
        path = backup / name
        whole = path.read_bytes()
        for damaged in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-1], None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            assert [wrong.split()[0] for wrong in archive.check(backup)] == [name]
        path.write_bytes(whole)
    assert archive.check(backup) == []
    # The scripts ask the same question.
    path.write_bytes(whole + b"!")
    for arguments in (["--check", backup], [backup]):
        done = _script("restore", _variables(tmp_path / "other"), *arguments)
        assert done.returncode != 0
        assert name in done.stdout + done.stderr
    assert not (tmp_path / "other").exists()


def test_nothing_is_overwritten(live: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, variables = live
    backup = _back_up(variables, tmp_path / "backups")
    before = _files(folder)
    done = _script("restore", variables, backup)
    assert done.returncode != 0
    assert "move it away first" in done.stderr
    assert _files(folder) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "tributary.sqlite3").write_text("something")
    done = _script("restore", _variables(other), backup)
    assert done.returncode != 0
    assert not (other / "secrets").exists()


def test_a_backup_belongs_to_its_address(live: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    _, variables = live
    backup = _back_up(variables, tmp_path / "backups")
    done = _script("restore", _variables(tmp_path / "other", TRIBUTARY_ORIGIN="https://other.example"), backup)
    assert done.returncode != 0
    assert "cannot change its address" in done.stderr


def test_a_ledger_that_outlived_the_rest_is_kept_if_it_is_not_shorter(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    variables = _live(folder)
    backup = _back_up(variables, tmp_path / "backups")
    head = json.loads((backup / "ledger" / "head").read_text())
    assert head["size"] > 0

    # The database disk is gone, the ledger went on: what it signed since is promised, and the database catches up.
    ask = "from server.core import worker; worker.work('ledger')"
    manage(ROOT, variables, "shell", "--no-imports", "-c", ask)
    grown = _files(folder)
    assert json.loads(grown["ledger/head"])["size"] > head["size"]
    other = tmp_path / "other"
    shutil.copytree(folder / "ledger", other / "ledger")
    done = _script("restore", _variables(other), backup)
    assert done.returncode == 0, done.stderr
    assert (other / "ledger" / "head").read_bytes() == grown["ledger/head"]
    manage(ROOT, _variables(other), "ledger", "verify")

    # A shorter one beside a longer backup would take back what was promised.
    backup = _back_up(variables, tmp_path / "later")
    shorter = tmp_path / "shorter"
    _put(shorter / "ledger" / "head", json.dumps({**head, "size": head["size"] - 1}).encode())
    done = _script("restore", _variables(shorter), backup)
    assert done.returncode != 0
    assert "is older than the backup" in done.stderr
    assert not (shorter / "secrets").exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "secrets/../../x", "elsewhere/x"])
def test_a_hostile_manifest_leads_nowhere(name: str, live: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    _, variables = live
    backup = _back_up(variables, tmp_path / "backups")
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (backup / "manifest.json").write_text(json.dumps(manifest))
    done = _script("restore", _variables(tmp_path / "other"), backup)
    assert done.returncode != 0
    assert "not a backup this version understands" in done.stderr


def test_a_later_backup_shares_the_media_and_old_ones_go(live: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    _, variables = live
    to = tmp_path / "backups"
    first = _back_up(variables, to)
    # As if it had been cut off.
    (to / ".tributary-20200101T000000Z.partial").mkdir()
    first = first.rename(to / "tributary-20210101T000000Z")
    media = f"media/{_content_name(CONTENT)}"
    second = _back_up(variables, to)
    assert (first / media).stat().st_ino == (second / media).stat().st_ino
    # Secrets are copied: somebody may write into them.
    assert (first / "secrets/sealing_key").stat().st_ino != (second / "secrets/sealing_key").stat().st_ino
    second.rename(to / "tributary-20220101T000000Z")
    third = _back_up(variables, to, "--keep", 2)
    assert sorted(path.name for path in to.iterdir()) == ["tributary-20220101T000000Z", third.name]
    assert _script("restore", variables, "--check", third).returncode == 0


def test_a_failing_disk_is_noticed(tmp_path: Path) -> None:
    variables = _live(tmp_path / "data")
    path = tmp_path / "data" / "media" / _content_name(CONTENT)
    path.write_bytes(b"b video")
    done = _script("backup", variables, "--to", tmp_path / "backups")
    assert done.returncode == 1
    assert "is damaged in the media directory" in done.stderr


def test_a_backup_of_nothing_is_an_error(tmp_path: Path) -> None:
    done = _script("backup", _variables(tmp_path / "data"), "--to", tmp_path / "backups")
    assert done.returncode != 0
    assert "there is no database" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "backups").glob("tributary-*"))


# --- PostgreSQL, with the roles we ship ---


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A private PostgreSQL; host:port of it."""
    with services.postgres() as url:
        yield urlsplit(url).netloc.rpartition("@")[2]


def _psql(cluster: str, role: str, database: str, sql: str) -> subprocess.CompletedProcess[str]:
    host, port = cluster.split(":")
    argv = [
        find("psql", "apt-get install postgresql"),
        "-X",
        "-At",
        "-h",
        host,
        "-p",
        port,
        "-U",
        role,
        "-d",
        database,
        "-c",
        sql,
    ]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def _make_roles(cluster: str, folder: Path, database: str) -> None:
    """What deploy/postgres/roles.sh does in the PostgreSQL image."""
    host, port = cluster.split(":")
    for file, role in (("owner", "tributary_owner"), ("app", "tributary_app")):
        (folder / file).write_text(f"postgres://{role}:{'0123456789abcdef' * 3}@{cluster}/{database}\n")
    variables = {
        **os.environ,
        "PGHOST": host,
        "PGPORT": port,
        "POSTGRES_USER": "tributary",
        "POSTGRES_DB": database,
        "TRIBUTARY_OWNER_URL_FILE": str(folder / "owner"),
        "TRIBUTARY_APP_URL_FILE": str(folder / "app"),
    }
    done = subprocess.run(
        ["bash", str(DEPLOY / "postgres" / "roles.sh")], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_roles_we_ship_and_a_restore_on_postgresql(cluster: str, tmp_path: Path) -> None:
    for database in ("first", "second"):
        assert _psql(cluster, "tributary", "postgres", f"CREATE DATABASE {database}").returncode == 0
    _make_roles(cluster, tmp_path, "first")
    owner = {"TRIBUTARY_DATABASE_URL_FILE": str(tmp_path / "owner")}
    app = {"TRIBUTARY_DATABASE_URL_FILE": str(tmp_path / "app"), "TRIBUTARY_REDIS_URL": "redis://127.0.0.1:1/0"}
    folder = tmp_path / "data"
    live = _live(folder, **owner)

    # The role that serves requests reads and writes rows, and does nothing else.
    said = manage(ROOT, _variables(folder, **app), "queues")
    assert "waiting" in said
    count = "SELECT count(*) FROM accounts_account"
    assert _psql(cluster, "tributary_app", "first", count).stdout.strip() == "1"
    assert _psql(cluster, "tributary_app", "first", "UPDATE accounts_account SET bio = 'x'").returncode == 0
    for forbidden in (
        "CREATE TABLE t (i int)",
        "DROP TABLE accounts_account",
        "ALTER TABLE accounts_account ADD COLUMN x int",
        "TRUNCATE accounts_account",
        "CREATE ROLE x",
        "COPY accounts_account TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        done = _psql(cluster, "tributary_app", "first", forbidden)
        assert "denied" in done.stderr or "must be " in done.stderr, forbidden
    asked = manage(ROOT, _variables(folder, **app), "check", "--deploy", "--database", "default", "--tag", "database")
    assert "no issues" in asked
    # Roles may be limited and passwords are set.
    passwords = "SELECT count(*) FROM pg_authid WHERE rolname LIKE 'tributary!_%' ESCAPE '!' AND rolpassword LIKE 'SCRAM%'"
    assert _psql(cluster, "tributary", "first", passwords).stdout.strip() == "2"

    backup = _back_up(live, tmp_path / "backups")
    assert (backup / "database.dump").exists()
    refused = _script("restore", _variables(tmp_path / "other", **owner), backup)
    assert "the database is not empty" in refused.stderr
    wrong_kind = _script("restore", _variables(tmp_path / "other"), backup)
    assert "restore into the kind it was made of" in wrong_kind.stderr

    # A new database, prepared like the first one.
    (tmp_path / "again").mkdir()
    _make_roles(cluster, tmp_path / "again", "second")
    new = _variables(tmp_path / "other", TRIBUTARY_DATABASE_URL_FILE=str(tmp_path / "again" / "owner"))
    done = _script("restore", new, backup)
    assert done.returncode == 0, done.stderr
    for table in ("accounts_account", "accounts_accountkey", "accounts_user", "django_migrations"):
        rows = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
        first, second = (_psql(cluster, "tributary", name, rows).stdout for name in ("first", "second"))
        assert first == second != "\n", table
    assert _files(tmp_path / "other") == _files(folder)
    manage(ROOT, new, "migrate", "--check")
    assert _psql(cluster, "tributary_app", "second", count).stdout.strip() == "1"
    assert _psql(cluster, "tributary_app", "second", "DROP TABLE accounts_account").returncode != 0


@pytest.mark.parametrize("password", ["short", "with space and more characters", "with'quote'and'more'characters"])
def test_roles_refuse_passwords_they_cannot_read(password: str, tmp_path: Path) -> None:
    for file in ("owner", "app"):
        (tmp_path / file).write_text(f"postgres://tributary_{file}:{password}@db/tributary")
    variables = {
        **os.environ,
        "TRIBUTARY_OWNER_URL_FILE": str(tmp_path / "owner"),
        "TRIBUTARY_APP_URL_FILE": str(tmp_path / "app"),
    }
    done = subprocess.run(
        ["bash", str(DEPLOY / "postgres" / "roles.sh")], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no password of 20 or more" in done.stderr
