"""One line per event, readable by machines, and no secrets in it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from server.core import logs


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own that writes JSON lines into memory."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.getLogger("tests.ops.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_line_is_one_json_object(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.info("moved %s to %s", "a", "b\nc", extra={"task": 7, "path": "/w/1"})
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said["event"] == "moved a to b\nc"
    assert (said["level"], said["logger"], said["task"], said["path"]) == ("info", "tests.ops.logs", 7, "/w/1")
    assert said["at"].endswith("Z")


def test_a_traceback_stays_in_its_line(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    try:
        int("https://x.example/?token=abcdefgh")
    except ValueError:
        logger.exception("broken")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert "Traceback" in said["exception"]
    assert "abcdefgh" not in line


def test_django_request_objects_do_not_get_in(lines: tuple[logging.Logger, io.StringIO], rf: Any) -> None:
    logger, stream = lines
    logger.warning("Not Found: %s", "/x", extra={"request": rf.get("/x?secret=1"), "status_code": 404})
    said = json.loads(stream.getvalue())
    assert said["status_code"] == 404
    assert "request" not in said


SECRET = "S3cr3tS3cr3tS3cr3t"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer [removed]"),
        (f"basic {SECRET}==", "basic [removed]"),
        (f"GET /oauth/callback?code={SECRET}&state=1", "GET /oauth/callback?code=[removed]&state=1"),
        (f'access_token="{SECRET}", x=1', "access_token=[removed], x=1"),
        (f'keyId="https://a/b",signature="{SECRET}"', 'keyId="https://a/b",signature=[removed]'),
        (f"postgres://app:{SECRET}@db:5432/x", "postgres://app:[removed]@db:5432/x"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY----- end", "[removed] end"),
        (f"-----BEGIN PRIVATE KEY-----\n{SECRET} (cut", "[removed]"),
        (f"password={SECRET}", "password=[removed]"),
    ],
)
def test_secrets_in_texts(text: str, left: str) -> None:
    assert logs.without_secrets(text) == left


@pytest.mark.parametrize(
    "text", ["basic facts", "the token was wrong", "status_code=404", "https://a.example/w/1?page=2", "keys: 3"]
)
def test_plain_texts_stay(text: str) -> None:
    assert logs.without_secrets(text) == text


@pytest.mark.parametrize(
    "name", ["password", "new_password", "Authorization", "cookie", "csrfmiddlewaretoken", "signature", "body", "api_key"]
)
def test_secrets_by_name_however_deep(name: str, lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.info("x", extra={"detail": {"list": [{name: SECRET}], "kept": "yes"}})
    assert SECRET not in stream.getvalue()
    assert json.loads(stream.getvalue())["detail"]["kept"] == "yes"


def test_values_json_cannot_say_become_text(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.info("x", extra={"path": io.StringIO, "numbers": {1, 2}, "none": None})
    said = json.loads(stream.getvalue())
    assert said["none"] is None
    assert sorted(said["numbers"]) == [1, 2]


def test_console_is_for_people() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter("console"))
    handler.handle(logging.makeLogRecord({"msg": "hello", "levelname": "INFO", "name": "x", "token": SECRET}))
    assert "hello" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="must be json or console"):
        logs.formatter("xml")
