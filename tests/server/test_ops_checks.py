"""``check --deploy`` lets a good production through and refuses each wrong setting by its number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Error, run_checks
from django.db import connection

from server.core import checks


@pytest.fixture
def production(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings that are right in front of the world."""
    settings.ALLOW_LOOPBACK = settings.DEBUG = False
    settings.CLOCK_OFFSET_FILE = None
    settings.ORIGIN = "https://videos.example.org"
    settings.SECRET_KEY = "0123456789abcdef" * 4
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    settings.TRUSTED_PROXIES = ["127.0.0.1", "unix", "10.93.84.2", "fd00::/64"]
    settings.METRICS_ALLOWED = ["127.0.0.1"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.DATA_DIR, settings.SECRETS_DIR = tmp_path, tmp_path / "secrets"
    settings.UPLOAD_DIR, settings.MEDIA_ROOT = tmp_path / "uploads", tmp_path / "media"
    for folder in (settings.SECRETS_DIR, settings.UPLOAD_DIR, settings.MEDIA_ROOT):
        folder.mkdir(mode=0o700)
    key = settings.SECRETS_DIR / "sealing_key"
    key.write_text("00" * 32)
    key.chmod(0o600)
    return settings


def _numbers() -> set[str]:
    found = run_checks(include_deployment_checks=True)
    return {message.id for message in found if message.id and message.id.startswith("tributary.")}


def test_a_good_production_passes(production: Any) -> None:
    assert _numbers() == set()


def _set(name: str, value: object) -> Callable[[Any], None]:
    return lambda settings: setattr(settings, name, value)


WRONG: list[tuple[str, Callable[[Any], None]]] = [
    ("E001", _set("ALLOW_LOOPBACK", True)),
    ("E002", _set("DEBUG", True)),
    ("E003", _set("CLOCK_OFFSET_FILE", Path("/tmp/offset"))),
    ("E004", _set("ORIGIN", "http://videos.example.org")),
    ("E005", _set("REDIS_URL", "")),
    ("E006", _set("SECRET_KEY", "short")),
    ("E006", _set("SECRET_KEY", "a" * 64)),
    ("E006", _set("SECRET_KEY", "django-insecure-" + "0123456789abcdef" * 4)),
    ("E007", _set("DATA_DIR", Path("/nonexistent/data"))),
    ("E007", lambda settings: settings.UPLOAD_DIR.rmdir()),
    ("E007", lambda settings: settings.MEDIA_ROOT.rmdir()),
    ("E008", lambda settings: (settings.SECRETS_DIR / "sealing_key").chmod(0o640)),
    ("E008", lambda settings: settings.SECRETS_DIR.chmod(0o755)),
    ("E009", lambda settings: (settings.SECRETS_DIR / "sealing_key").unlink()),
    ("E010", _set("TRUSTED_PROXIES", ["0.0.0.0/0"])),
    ("E010", _set("TRUSTED_PROXIES", ["*"])),
    ("E010", _set("METRICS_ALLOWED", ["::/0"])),
    ("E011", _set("TRUSTED_PROXIES", [])),
    ("W001", _set("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")),
]


@pytest.mark.parametrize(("number", "spoil"), WRONG, ids=[f"{number}-{place}" for place, (number, _) in enumerate(WRONG)])
def test_each_wrong_setting_has_its_number(number: str, spoil: Callable[[Any], None], production: Any) -> None:
    spoil(production)
    assert _numbers() == {f"tributary.{number}"}


def test_every_refusal_says_what_to_do(production: Any) -> None:
    for _, spoil in WRONG:
        spoil(production)
    found = [each for each in run_checks(include_deployment_checks=True) if str(each.id).startswith("tributary.")]
    assert len(found) >= 11
    assert all(each.hint for each in found)


def test_media_in_a_bucket_needs_no_directory(production: Any) -> None:
    production.MEDIA_ROOT.rmdir()
    production.S3_BUCKET = "videos"
    assert _numbers() == set()


def test_a_desk_is_let_alone_without_deploy(settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True
    assert not [each for each in run_checks() if isinstance(each, Error)]


def test_the_role_of_the_database(db: None) -> None:
    """On SQLite there is no role; on PostgreSQL the tests' own role may make databases, which production's must not."""
    found = [each.id for each in checks.check_database_role(None, databases=["default"])]
    assert found == ([] if connection.vendor == "sqlite" else ["tributary.E012"])
    assert not list(checks.check_database_role(None, databases=None))
