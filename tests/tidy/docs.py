"""What must hold of every Markdown page: run ``python -m tests.tidy.docs``; it prints what is wrong and fails.

Links and anchors lead somewhere, commands name what exists, each dependency has its reason, each decision record is
whole, and every page can be reached from the front.
"""

import json
import pkgutil
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import django.contrib
import django.core.management.commands

ROOT = Path(__file__).resolve().parent.parent.parent
ADR_HEADINGS = ["Context", "Options", "Decision", "Consequences", "What would change our mind"]
NOT_OURS = {"var", "vendor", "node_modules", "media"}

FENCE = re.compile(r"^(?P<ticks>```+|~~~+)(?P<language>[\w-]*)\s*\n(?P<body>.*?)^(?P=ticks)\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)")
IMAGE = re.compile(r"!\[[^\]]*\]\((?P<target>[^()\s]+)\)")
ELEMENT = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|srcset|href)=\"(?P<target>[^\"\s]+)\"")
HEADING = re.compile(r"^#{1,6} +(?P<text>.*?) *#*$", re.MULTILINE)
UPWARDS = re.compile(r"(?<![\w./])(?:\.\./)+[\w./-]*")
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """All Markdown files of the repository, without installed, generated and vendored ones."""
    found = []
    for path in sorted(root.rglob("*.md")):
        folders = path.relative_to(root).parts[:-1]
        if not any(name.startswith((".", "data")) or name in NOT_OURS for name in folders):
            found.append(path)
    return found


def prose(text: str) -> str:
    """``text`` without fenced blocks and inline code: what is left is read as Markdown."""
    return CODE.sub("", FENCE.sub("", text))


def slug(heading: str) -> str:
    """The anchor a code host makes of ``heading``: lower case, punctuation dropped, spaces to hyphens."""
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """All anchors of a page; a repeated heading gets -1, -2..."""
    found: set[str] = set()
    for match in HEADING.finditer(FENCE.sub("", page.read_text())):
        wanted = name = slug(match["text"])
        number = 0
        while name in found:
            number += 1
            name = f"{wanted}-{number}"
        found.add(name)
    return found


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """``(as written, file, anchor)`` of every relative link and picture of a page."""
    text = prose(page.read_text())
    for match in [*LINK.finditer(text), *IMAGE.finditer(text), *ELEMENT.finditer(text)]:
        target = match["target"]
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        file, _, anchor = target.partition("#")
        yield target, (page.parent / file).resolve() if file else page, anchor


def broken_links(root: Path) -> Iterator[str]:
    """Links to files or headings that are not there, and paths that lead out of the repository."""
    for page in pages(root):
        name = page.relative_to(root)
        for target, file, anchor in links(page):
            if not file.is_relative_to(root) or not file.exists():
                yield f"{name}: link to {target}, which does not exist"
            elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
                yield f"{name}: link to {target}, but there is no such heading"
        for match in UPWARDS.finditer(page.read_text()):
            file = (page.parent / match[0].rstrip(".")).resolve()
            if not file.is_relative_to(root) or not file.exists():
                yield f"{name}: names {match[0]}, which is not in this repository"


def manage_commands(root: Path) -> set[str]:
    """What ``manage.py`` knows: Django's own commands, those of its contrib apps, and ours."""
    folders = [Path(django.core.management.commands.__path__[0])]
    for parent in (Path(django.contrib.__path__[0]), root / "server", root / "federation", root / "payouts"):
        folders += [path for pattern in ("management/commands", "*/management/commands") for path in parent.glob(pattern)]
    return {
        module.name for module in pkgutil.iter_modules([str(folder) for folder in folders]) if not module.name.startswith("_")
    }


def wrong_words(words: list[str], root: Path, commands: set[str]) -> Iterator[str]:
    """What in one command line names something that does not exist."""
    folders = {
        path.name for path in root.iterdir() if path.is_dir() and (path.name == ".ci" or not path.name.startswith((".", "data")))
    }
    for word, following in zip(words, [*words[1:], ""], strict=True):
        path = word.removeprefix("./")
        if "/" in path and path.partition("/")[0] in folders - NOT_OURS and not (root / path).exists():
            yield f"{path} does not exist"
        if path.rpartition("/")[2] == "manage.py" and following not in commands:
            yield f"manage.py has no command {following!r}"
        if word == "-m" and following.partition(".")[0] in folders:
            module = root / following.replace(".", "/")
            if not module.with_suffix(".py").exists() and not (module / "__main__.py").exists():
                yield f"there is no module {following}"


def wrong_commands(root: Path) -> Iterator[str]:
    """Command lines in ``sh`` blocks that name a script, file, module or manage.py command that does not exist."""
    commands = manage_commands(root)
    for page in pages(root):
        for block in FENCE.finditer(page.read_text()):
            if block["language"] != "sh":
                continue
            for line in block["body"].replace("\\\n", " ").splitlines():
                try:
                    words = shlex.split(line, comments=True)
                except ValueError as error:
                    yield f"{page.relative_to(root)}: {line.strip()!r} cannot be read as a command: {error}"
                    continue
                for wrong in wrong_words(words, root, commands):
                    yield f"{page.relative_to(root)}: {wrong} (in {line.strip()!r})"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def documented_names(page: Path, header: str) -> set[str]:
    """Names in the first column of the tables whose first column is headed ``header``."""
    found, inside = set(), False
    for line in page.read_text().splitlines():
        first = line.strip("|").split("|")[0].strip() if line.startswith("|") else ""
        inside = first == header or (inside and bool(first))
        if inside and first != header and not set(first) <= set("-: "):
            found.add(first.strip("`").partition("[")[0])
    return found


def wrong_dependencies(root: Path) -> Iterator[str]:
    """Packages and vendored files without a reason, and reasons without a package or file."""
    name = "docs/reference/dependencies.md"
    pinned: set[str] = set()
    for file in root.glob("requirements*.txt"):
        pinned |= {_canonical(match["name"]) for match in PINNED.finditer(file.read_text())}
    vendored: set[str] = set()
    for file in [*root.glob("server/web/static/vendor/vendor.json"), *root.glob("tests/*/vendor/vendor.json")]:
        entries = json.loads(file.read_text())
        vendored |= {entry["name"] for entry in (entries if isinstance(entries, list) else [entries])}
    documented = {_canonical(package) for package in documented_names(root / name, "Package")}
    for there, said in ((pinned, documented), (vendored, documented_names(root / name, "Vendored"))):
        yield from (f"{name}: {package} is installed but has no row" for package in sorted(there - said))
        yield from (f"{name}: {package} has a row but is not installed" for package in sorted(said - there))


def wrong_records(root: Path) -> Iterator[str]:
    """Decision records that lack a heading, or share or misstate their number."""
    numbers: dict[str, str] = {}
    for page in sorted((root / "docs/adr").glob("*.md")):
        number = page.name[:4]
        text = page.read_text()
        if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name):
            yield f"docs/adr/{page.name}: the name must be NNNN-title.md"
        elif number in numbers:
            yield f"docs/adr/{page.name}: number {number} is taken by {numbers[number]}"
        elif not text.startswith(f"# {number}. "):
            yield f"docs/adr/{page.name}: must begin with '# {number}. '"
        numbers.setdefault(number, page.name)
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        if headings != ADR_HEADINGS:
            yield f"docs/adr/{page.name}: headings are {headings}, must be {ADR_HEADINGS}"


def unreachable(root: Path) -> Iterator[str]:
    """Pages under docs/ that no chain of links from the README or the map leads to."""
    waiting = [root / "README.md", root / "docs/index.md"]
    reached = set(waiting)
    while waiting:
        for _, file, _ in links(waiting.pop()):
            if file.suffix == ".md" and file.exists() and file not in reached:
                reached.add(file)
                waiting.append(file)
    for page in pages(root):
        if page.is_relative_to(root / "docs") and page not in reached:
            yield f"{page.relative_to(root)}: no link leads here from README.md or docs/index.md"


def problems(root: Path) -> list[str]:
    """Everything that is wrong with the pages under ``root``, one line each. An empty list is good."""
    rules = [broken_links, wrong_commands, wrong_dependencies, wrong_records, unreachable]
    return list(dict.fromkeys(problem for rule in rules for problem in rule(root.resolve())))


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) or "docs: nothing wrong")
    sys.exit(1 if found else 0)
