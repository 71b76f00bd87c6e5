"""What ``manage.py check --deploy`` refuses: settings that are right on a desk and wrong in front of the world."""

import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 (Django's name)
from django.db import connections

SECRET_CHARACTERS_MIN = 50
SECRET_DISTINCT_MIN = 5
# A network this wide is no list of machines one knows.
PREFIX_BITS_MIN = {4: 8, 6: 16}


def _error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"tributary.E{number:03}")


@register(Tags.security, deploy=True)
def check_development_settings(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Nothing that is for development and tests only."""
    if settings.ALLOW_LOOPBACK:
        yield _error(1, "TRIBUTARY_ALLOW_LOOPBACK is on: strangers could make this server talk to its own host.", "Take it out.")
    if settings.DEBUG:
        yield _error(2, "TRIBUTARY_DEBUG is on: errors would show the inside of the server.", "Take it out.")
    if settings.CLOCK_OFFSET_FILE is not None:
        yield _error(3, "TRIBUTARY_CLOCK_OFFSET_FILE is set: the clock can be moved by a file.", "Take it out.")
    if not settings.ORIGIN.startswith("https://"):
        yield _error(
            4,
            f"TRIBUTARY_ORIGIN is {settings.ORIGIN}: other servers only speak https.",
            "Put a TLS proxy in front (deploy/Caddyfile, deploy/nginx.conf) and set TRIBUTARY_ORIGIN=https://HOST.",
        )


@register(Tags.security, deploy=True)
def check_redis(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Several machines or processes need one doorbell and one set of rate limits."""
    if settings.DATABASES["default"]["ENGINE"].endswith("postgresql") and not settings.REDIS_URL:
        yield _error(
            5,
            "PostgreSQL without Redis: rate limits would count per process, and messages go through files of one machine.",
            "Set TRIBUTARY_REDIS_URL.",
        )


@register(Tags.security, deploy=True)
def check_secret_key(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """The key that signs sessions cannot be guessed."""
    key = settings.SECRET_KEY
    if len(key) < SECRET_CHARACTERS_MIN or len(set(key)) < SECRET_DISTINCT_MIN or key.startswith("django-insecure"):
        yield _error(
            6,
            f"The secret key is weak: fewer than {SECRET_CHARACTERS_MIN} characters, or too few different ones.",
            "Take TRIBUTARY_SECRET_KEY out, and a good one is made in the data directory at the next start.",
        )


@register(Tags.security, deploy=True)
def check_directories(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """What must be written can be written, and what is secret is read by nobody else."""
    folders = [settings.DATA_DIR, settings.UPLOAD_DIR] + ([] if settings.S3_BUCKET else [settings.MEDIA_ROOT])
    for folder in folders:
        if not _writable(folder):
            yield _error(
                7,
                f"The directory {folder} cannot be written.",
                f"Make it, and give it to the user of the services (now: uid {os.getuid()}).",
            )
    for path in [settings.SECRETS_DIR, *sorted(settings.SECRETS_DIR.glob("*"))]:
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield _error(8, f"Others on this machine may read {path}.", f"chmod go= {path}")
    if not (settings.SECRETS_DIR / "sealing_key").exists():
        yield _error(
            9,
            f"There is no {settings.SECRETS_DIR / 'sealing_key'}: private keys could neither be kept nor used.",
            "New instance: run python -m server.secrets. Else restore it from a backup; a new one would lose every key.",
        )


@register(Tags.security, deploy=True)
def check_addresses(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Lists of trusted addresses can be read, and are not the whole world."""
    for name, entries in (
        ("TRIBUTARY_TRUSTED_PROXIES", settings.TRUSTED_PROXIES),
        ("TRIBUTARY_METRICS_ALLOWED", settings.METRICS_ALLOWED),
    ):
        wrong = [entry for entry in entries if not _is_narrow(entry)]
        if wrong:
            yield _error(10, f"{name} holds {', '.join(wrong)}.", "Name addresses or small networks, separated by commas.")
    if settings.ORIGIN.startswith("https://") and not settings.TRUSTED_PROXIES:
        yield _error(
            11,
            "TRIBUTARY_TRUSTED_PROXIES is empty, but some proxy must speak TLS: every visitor would look like it.",
            "Name the proxy's address, for example TRIBUTARY_TRUSTED_PROXIES=127.0.0.1,::1",
        )


@register(Tags.security, deploy=True)
def check_mail(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Mail leaves the machine."""
    if settings.EMAIL_BACKEND != "django.core.mail.backends.smtp.EmailBackend":
        yield Warning(
            "TRIBUTARY_EMAIL_URL sends no mail: nobody can confirm an address or set a new password.",
            hint="Set it to smtp+tls://USER:PASSWORD@HOST:587.",
            id="tributary.W001",
        )


@register(Tags.database, deploy=True)
def check_database_role(app_configs: Any, databases: Sequence[str] | None = None, **_: Any) -> Iterable[CheckMessage]:
    """The role that serves requests is no superuser. Asked with ``check --deploy --database default``."""
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
            row = cursor.fetchone()
        if row and row[0]:
            yield _error(
                12,
                "The database role may do more than read and write rows: a hole in a page would open the database server.",
                "Use a role of its own, as deploy/postgres/roles.sh makes it.",
            )


def _is_narrow(entry: str) -> bool:
    if entry == "unix":
        return True
    try:
        network = ip_network(entry)
    except ValueError:
        return False
    return network.prefixlen >= PREFIX_BITS_MIN[network.version]


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
