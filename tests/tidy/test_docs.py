"""The pages hold, and the check that says so notices when they do not."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import wiring
from server.core.facts import Fact
from tests.tidy import docs, facts_table


def test_nothing_is_wrong_with_the_pages() -> None:
    assert docs.problems(docs.ROOT) == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository that a test may break."""
    target = tmp_path_factory.mktemp("copy") / "tributary"
    shutil.copytree(docs.ROOT, target, ignore=shutil.ignore_patterns(".*", "data*", "var", "node_modules", "__pycache__"))
    shutil.copytree(docs.ROOT / ".ci", target / ".ci")
    return target


@pytest.fixture
def house(copy: Path) -> Iterator[Path]:
    """The copy, made whole again afterwards."""
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.suffix in {".md", ".txt"} or path.name == "vendor.json"}
    yield copy
    for path in copy.rglob("*.md"):
        if path not in before:
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def add(page: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / page).write_text((root / page).read_text() + text)

    return change


def replace(page: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / page).read_text()
        assert old in text
        (root / page).write_text(text.replace(old, new, 1))

    return change


def page_nobody_links(root: Path) -> None:
    (root / "docs/howto/alone.md").write_text("# Alone\n")


def second_record(root: Path) -> None:
    first = next((root / "docs/adr").glob("0001-*.md"))
    (root / "docs/adr/0001-again.md").write_text(first.read_text())
    add("docs/index.md", "\n[again](adr/0001-again.md)\n")(root)


BREAKAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "link to no file": (add("README.md", "\n[x](docs/nowhere.md)\n"), "link to docs/nowhere.md, which does not exist"),
    "picture that is not there": (
        add("README.md", "\n![x](docs/nowhere.png)\n"),
        "link to docs/nowhere.png, which does not exist",
    ),
    "picture in HTML that is not there": (
        add("README.md", '\n<img src="docs/nowhere.png" alt="x">\n'),
        "link to docs/nowhere.png, which does not exist",
    ),
    "link out of the repository": (add("README.md", "\n[x](../elsewhere.md)\n"), "link to ../elsewhere.md, which does not exist"),
    "path out of the repository": (
        add("docs/index.md", "\nSee `../../elsewhere/NOTES.md`.\n"),
        "names ../../elsewhere/NOTES.md, which is not in this",
    ),
    "path beside the repository": (
        add("README.md", "\nSee ../shared for more.\n"),
        "names ../shared, which is not in this repository",
    ),
    "anchor that is not there": (add("README.md", "\n[x](docs/index.md#no-such-heading)\n"), "there is no such heading"),
    "anchor of this page": (add("README.md", "\n[x](#no-such-heading)\n"), "there is no such heading"),
    "script that is not there": (add("README.md", "\n```sh\nscript/fly\n```\n"), "script/fly does not exist"),
    "script with a dot before it": (add("README.md", "\n```sh\nX=1 ./script/fly --port 1\n```\n"), "script/fly does not exist"),
    "unknown manage.py command": (
        add("README.md", "\n```sh\n.venv/bin/python manage.py fly\n```\n"),
        "manage.py has no command 'fly'",
    ),
    "unknown module": (add("README.md", "\n```sh\npython -m server.fly\n```\n"), "there is no module server.fly"),
    "command that cannot be read": (add("README.md", "\n```sh\necho 'open\n```\n"), "cannot be read as a command"),
    "package without a reason": (add("requirements.txt", "\nleftpad==1.0\n"), "leftpad is installed but has no row"),
    "reason without a package": (replace("requirements.txt", "nh3==", "# nh3=="), "nh3 has a row but is not installed"),
    "development package without a reason": (
        add("requirements-dev.txt", "\nleftpad==1.0\n"),
        "leftpad is installed but has no row",
    ),
    "vendored file without a reason": (
        replace("server/web/static/vendor/vendor.json", '"name": "hls.js"', '"name": "leftpad"'),
        "leftpad is installed but has no row",
    ),
    "record number used twice": (second_record, "number 0001 is taken by"),
    "record without its heading": (
        replace("docs/adr/0002-facts-not-signals.md", "## Options", "### Options"),
        "0002-facts-not-signals.md: headings are",
    ),
    "record with another number": (
        replace("docs/adr/0002-facts-not-signals.md", "# 0002. ", "# 0003. "),
        "must begin with '# 0002. '",
    ),
    "page nobody links": (
        page_nobody_links,
        "alone.md: no link leads here",
    ),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_each_kind_of_break_is_noticed(name: str, house: Path) -> None:
    change, expected = BREAKAGES[name]
    change(house)
    found = docs.problems(house)
    assert [problem for problem in found if expected in problem], found


def test_a_copy_is_whole_and_a_broken_one_fails_the_command(house: Path) -> None:
    def check() -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "tests.tidy.docs", str(house)]
        return subprocess.run(argv, cwd=docs.ROOT, capture_output=True, text=True, check=False)

    assert (check().returncode, check().stdout) == (0, "docs: nothing wrong\n")
    add("README.md", "\n[x](docs/nowhere.md)\n")(house)
    broken = check()
    assert broken.returncode == 1
    assert broken.stdout == "README.md: link to docs/nowhere.md, which does not exist\n"


def test_what_is_no_link_is_left_alone(house: Path) -> None:
    add("README.md", "\nIn code `[x](y.md)` and\n\n```text\n[x](y.md)\nscript/fly\n```\n\n[out](https://example.org/a.md#b)\n")(
        house
    )
    assert docs.problems(house) == []


def test_anchors_are_made_as_code_hosts_make_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` c, d & e\n\n```sh\n# no heading\n```\n\n## Same\n## Same\n## [Linked](x.md) text\n")
    assert docs.anchors(page) == {"a-b-c-d--e", "same", "same-1", "linked-text"}


def test_the_facts_page_is_what_the_wiring_says() -> None:
    wanted = facts_table.page_with(facts_table.tables())
    assert facts_table.PAGE.read_text() == wanted, "run: .venv/bin/python -m tests.tidy.facts_table"


def test_every_fact_of_the_project_is_wired() -> None:
    ours = {fact for fact in Fact.__subclasses__() if fact.__module__.startswith(("server.", "federation.", "payouts."))}
    assert set(wiring.SUBSCRIBERS) == ours
