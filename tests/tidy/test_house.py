"""The house rules that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.docs import ROOT

LINES_MAX = 400
FOLDERS = [ROOT / name for name in ("server", "federation", "payouts") if (ROOT / name).exists()]
TEXT_SUFFIXES = {
    ".py",
    ".html",
    ".css",
    ".js",
    ".mjs",
    ".md",
    ".txt",
    ".toml",
    ".yaml",
    ".yml",
    ".conf",
    ".service",
    ".timer",
    ".example",
    ".sh",
    "",
}
SKIPPED_FOLDERS = {"vendor", "node_modules", "var", "media", "vectors"}


def sources() -> list[Path]:
    """Our own Python files that run on a server, without migrations."""
    return [path for folder in FOLDERS for path in sorted(folder.rglob("*.py")) if "migrations" not in path.parts]


def test_files() -> list[Path]:
    return sorted((ROOT / "tests").rglob("test_*.py"))


test_files.__test__ = False  # type: ignore[attr-defined]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def texts() -> Iterator[Path]:
    """Every text file that people wrote for this project."""
    for path in sorted(ROOT.rglob("*")):
        folders = path.relative_to(ROOT).parts[:-1]
        if any((part.startswith((".", "data")) and part != ".ci") or part in SKIPPED_FOLDERS for part in folders):
            continue
        if path.is_file() and path.suffix in TEXT_SUFFIXES and not path.name.startswith(".") and path.name != "LICENSE":
            yield path


def called(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_no_file_knows_too_much() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in sources() if not name(path).startswith("payouts/")}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_MAX} == {}


def test_no_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    assert [name(path) for path in sources() if path.stem in drawers or path.parent.name in drawers] == []


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_signal(dotted: str) -> bool:
    """Is this import one of Django's signals, or of an app that sends them? Celery's own are another thing."""
    return dotted.startswith("django.dispatch") or ("signals" in dotted.split(".") and not dotted.startswith("celery."))


def test_no_django_signals() -> None:
    assert [
        (name(path), dotted) for path in sources() for dotted in imported(ast.parse(path.read_text())) if is_signal(dotted)
    ] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from django.db.models.signals import post_save", True),
        ("from django.db.models import signals", True),
        ("from django.dispatch import receiver", True),
        ("import django.dispatch", True),
        ("from allauth.account.signals import user_signed_up", True),
        ("from celery.signals import setup_logging", False),
        ("import signal", False),
    ],
)
def test_a_signal_would_be_noticed(code: str, found: bool) -> None:
    assert any(map(is_signal, imported(ast.parse(code)))) is found


def prints(path: Path) -> list[str]:
    calls = called(ast.parse(path.read_text()))
    return [f"{name(path)}:{call.lineno}" for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_nothing_prints_but_scripts_and_tests() -> None:
    assert [line for path in sources() for line in prints(path)] == []


def checks_something(tree: ast.AST) -> bool:
    if any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        return True
    return any(isinstance(call.func, ast.Attribute) and call.func.attr == "raises" for call in called(tree))


def test_every_test_file_checks_something() -> None:
    assert [name(path) for path in test_files() if not checks_something(ast.parse(path.read_text()))] == []


def skips(path: Path) -> list[str]:
    marks = {"skip", "skipif", "xfail", "importorskip", "skipTest"}
    nodes = ast.walk(ast.parse(path.read_text()))
    return [f"{name(path)}:{node.lineno}" for node in nodes if isinstance(node, ast.Attribute) and node.attr in marks]


def test_no_test_is_skipped() -> None:
    """A part that cannot run fails and says why."""
    assert [line for path in [*test_files(), *(ROOT / "tests").rglob("conftest.py")] for line in skips(path)] == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    later = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
    found = [
        f"{name(path)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if later.search(line)
    ]
    assert found == []
