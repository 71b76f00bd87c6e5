"""The table of all settings, made of server/settings.py (names, kinds) and deploy/env.example (sentences, defaults).

``python -m tests.tidy.settings_table > docs/reference/settings.md``
"""

import ast
import re
import sys
from pathlib import Path

from server.core import limits

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = {"str": "text", "bool": "true or false", "int": "number", "list": "list", "db_url": "address", "email_url": "address"}

HEAD = """# Settings

Every setting is an environment variable. This table is made by `python -m tests.tidy.settings_table` from `server/settings.py`
and [`deploy/env.example`](../../deploy/env.example); a test holds them equal.

Instead of any `NAME` you may set `NAME_FILE` to the path of a file that holds the value; that is how secrets are best given.
Lists are separated by commas. `manage.py check --deploy` judges the whole: see [Deploy an instance](../howto/deploy.md).
"""


def read_settings() -> dict[str, str]:
    """Name to kind of every variable that ``server/settings.py`` reads."""
    found = {}
    for node in ast.walk(ast.parse((ROOT / "server" / "settings.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "env":
            name = node.args[0]
            assert isinstance(name, ast.Constant), "a setting must be named literally"
            found[str(name.value)] = KINDS[node.func.attr]
    # The one that gunicorn's own configuration reads, under the name that gunicorn gave it.
    if 'os.environ.get("WEB_CONCURRENCY"' in (ROOT / "deploy" / "gunicorn.conf.py").read_text():
        found["WEB_CONCURRENCY"] = "number"
    return found


def defaults() -> dict[str, str]:
    """Name to default, as one would write it in the environment, of every variable whose default is a plain value."""
    found = {}
    for node in ast.walk(ast.parse((ROOT / "server" / "settings.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "env":
            default = next((each.value for each in node.keywords if each.arg == "default"), None)
            names = (
                {each.id for each in ast.walk(default) if isinstance(each, ast.Name)} if default is not None else {"no default"}
            )
            if names <= {"limits"}:
                # An expression of our own settings, such as 512 * limits.MIB.
                value = eval(ast.unparse(default), {"limits": limits})
                said = ",".join(value) if isinstance(value, list) else str(value)
                said = said.lower() if isinstance(value, bool) else said
                found[ast.literal_eval(node.args[0])] = said
    return found


def documented() -> dict[str, tuple[str, str]]:
    """Name to (sentence, default or example) of every variable in ``deploy/env.example``, in its order."""
    return {name: (sentence, value) for _, rows in sections() for name, sentence, value in rows}


def sections() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(heading, [(name, sentence, value)]) in the order of ``deploy/env.example``."""
    found: list[tuple[str, list[tuple[str, str, str]]]] = []
    comment: list[str] = []
    for line in (ROOT / "deploy" / "env.example").read_text().splitlines():
        heading = re.fullmatch(r"# --- (.*) ---", line)
        variable = re.fullmatch(r"#?(TRIBUTARY_\w+|WEB_CONCURRENCY)=(.*)", line)
        if heading:
            found.append((heading[1], []))
            comment = []
        elif variable:
            found[-1][1].append((variable[1], " ".join(comment), variable[2].strip('"')))
            comment = []
        elif line.startswith("# "):
            comment.append(line.removeprefix("# "))
        else:
            comment = []
    return found


def page() -> str:
    """The whole of ``docs/reference/settings.md``."""
    kinds = read_settings()
    parts = [HEAD]
    for heading, rows in sections():
        parts.append(f"## {heading.replace('`', '')}\n")
        parts.append("| variable | kind | default or example | meaning |\n|---|---|---|---|")
        for name, sentence, value in rows:
            text = sentence.replace("|", "\\|")
            parts.append(f"| `{name}` | {kinds[name]} | {f'`{value}`' if value else ''} | {text} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
