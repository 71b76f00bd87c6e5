"""The statement verifier as one HTML file that works from disk: modules, styles and markup put together. Pure but for reading.

Browsers load no ES modules from ``file://``, so each module becomes a function in one script. A content security policy inside
of the file names the hash of that script and allows no connection: whoever opens it can see that it talks to nobody.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

WEB: Final = Path(__file__).parent
STATIC: Final = WEB / "static"
TEMPLATES: Final = WEB.parent.parent / "templates"
ENTRY: Final = STATIC / "ledger-verifier" / "page.js"
STYLES: Final = ("tokens", "base", "parts", "pages", "verifier")
FILE_NAME: Final = "verify-statement.html"

_IMPORT = re.compile(r'^import \{([^}]+)\} from "(\.{1,2}/[\w./-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:const|let|class|function)) (\w+)", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export \{([^}]+)\};\n", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LEFT_OVER = re.compile(r"^(?:import|export)\b|\bimport\.meta\b", re.MULTILINE)
_PLACE = re.compile(r"\{\{ (\w+) \}\}")
_FONT_FACE = re.compile(r"@font-face \{[^}]*\}\n")


@cache
def build() -> str:
    """The page. The same sources give the same bytes."""
    style = "\n" + "".join(_FONT_FACE.sub("", (STATIC / "css" / f"{name}.css").read_text()) for name in STYLES)
    first = (STATIC / "js" / "first.js").read_text()
    script = _script(ENTRY)
    parts = {
        "style_hash": _hash(style),
        "script_hashes": f"{_hash(first)} {_hash(script)}",
        "style": style,
        "first": first,
        "markup": (TEMPLATES / "parts" / "verifier.html").read_text(),
        "script": script,
    }
    frame = (TEMPLATES / "ledger" / "offline.html").read_text()
    # One pass: what a part says is never taken for a place to fill.
    return _PLACE.sub(lambda found: parts[found[1]], frame)


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
    names += [name.strip() for group in _EXPORT_LIST.findall(source) for name in group.split(",") if name.strip()]

    def taken(found: re.Match[str]) -> str:
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
