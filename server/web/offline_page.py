"""A page as one HTML file that works from disk: modules, styles and markup put together. Pure but for reading.

So the statement verifier can be saved, and the recovery tool.

Browsers load no ES modules from ``file://``, so each module becomes a function in one script. A content security policy inside
of the file names the hash of that script and allows no connection: whoever opens it can see that it talks to nobody.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from server.identity.mnemonic import LANGUAGES

WEB: Final = Path(__file__).parent
STATIC: Final = WEB / "static"
TEMPLATES: Final = WEB.parent.parent / "templates"
ENTRY: Final = STATIC / "ledger-verifier" / "page.js"
WORDS: Final = WEB.parent / "identity" / "wordlists"
FILE_NAME: Final = "verify-statement.html"


@dataclass(frozen=True)
class Saved:
    """A page that can be saved: its frame and markup (templates), the module it starts with, its styles."""

    file_name: str
    frame: str
    markup: str
    entry: Path
    styles: tuple[str, ...]
    words: bool = False


VERIFIER: Final = Saved(
    FILE_NAME, "ledger/offline.html", "parts/verifier.html", ENTRY, ("tokens", "base", "parts", "pages", "verifier")
)
TOOL: Final = Saved(
    "identity-tool.html",
    "identity/offline.html",
    "parts/identity_tool.html",
    STATIC / "identity" / "tool.js",
    ("tokens", "base", "parts", "pages", "verifier", "keys"),
    words=True,
)

_IMPORT = re.compile(r'^import (?:\{([^}]+)\} from )?"(\.{1,2}/[\w./-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:const|let|class|function)) (\w+)", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export \{([^}]+)\};\n", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LEFT_OVER = re.compile(r"^(?:import|export)\b|\bimport\.meta\b", re.MULTILINE)
_PLACE = re.compile(r"\{\{ (\w+) \}\}")
_FONT_FACE = re.compile(r"@font-face \{[^}]*\}\n")


@cache
def build(saved: Saved = VERIFIER) -> str:
    """The page. The same sources give the same bytes."""
    style = "\n" + "".join(_FONT_FACE.sub("", (STATIC / "css" / f"{name}.css").read_text()) for name in saved.styles)
    first = (STATIC / "js" / "first.js").read_text()
    script = _script(saved.entry)
    parts = {
        "style_hash": _hash(style),
        "script_hashes": f"{_hash(first)} {_hash(script)}",
        "style": style,
        "first": first,
        "markup": (TEMPLATES / saved.markup).read_text(),
        "script": script,
        "words": _words() if saved.words else "",
    }
    frame = (TEMPLATES / saved.frame).read_text()
    # One pass: what a part says is never taken for a place to fill.
    return _PLACE.sub(lambda found: parts[found[1]], frame)


def _words() -> str:
    """All lists of recovery words, as JSON: language to the words with spaces between."""
    lists = {name: (WORDS / f"{name}.txt").read_text().split() for name in LANGUAGES}
    return json.dumps({name: " ".join(words) for name, words in lists.items()}, ensure_ascii=False)


def _script(entry: Path) -> str:
    """One script out of a module and all it imports, each once, after those that it needs."""
    done: dict[Path, str] = {}

    def add(path: Path) -> None:
        if path in done:
            return
        source = path.read_text()
        for _, target in _IMPORT.findall(source):
            add((path.parent / target).resolve())
        done[path] = _as_function(path, source)

    add(entry.resolve())
    script = "\n" + "\n".join(done.values())
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script that would end its own element")
    return script


def _as_function(path: Path, source: str) -> str:
    """The module as ``const its_name = (() => { ...; return { what it exports }; })();``."""
    names = [name for _, name in _EXPORT.findall(source)]
    listed = [name.strip() for group in _EXPORT_LIST.findall(source) for name in group.split(",") if name.strip()]
    names += [re.sub(r"(\w+) as (\w+)", r"\2: \1", name) for name in listed]

    def taken(found: re.Match[str]) -> str:
        # Imported for what it does: it stands before this one already.
        if found[1] is None:
            return ""
        wanted = re.sub(r"(\w+) as (\w+)", r"\1: \2", found[1])
        return f"const {{{wanted}}} = {_name((path.parent / found[2]).resolve())};\n"

    body = _EXPORT.sub(r"\1 \2", _EXPORT_LIST.sub("", _IMPORT.sub(taken, source)))
    if left := _LEFT_OVER.search(_COMMENT.sub("", body)):
        raise ValueError(f"{path.name}: {left[0]} cannot be put into one file")
    return f"const {_name(path)} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();\n"


def _name(path: Path) -> str:
    return "module_" + re.sub(r"\W", "_", f"{path.parent.name}_{path.stem}")


def _hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
