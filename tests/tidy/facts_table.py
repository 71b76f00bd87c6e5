"""The tables of docs/reference/facts.md, made of ``server/wiring.py``.

``python -m tests.tidy.facts_table`` puts them into the page as they are today.
"""

import inspect
import os
from itertools import groupby
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/reference/facts.md"


def tables() -> list[list[str]]:
    """The lines of each table: facts with their subscribers, then chores. Settings must be there already."""
    from server import wiring

    facts = ["| fact | recorded when | subscriber | queue | runs |", "|---|---|---|---|---|"]
    for fact, subscribers in wiring.SUBSCRIBERS.items():
        said = (inspect.getdoc(fact) or "").replace("\n", " ").replace("``", "`")
        for each in subscribers:
            runs = "exactly once" if each.atomic else "at least once"
            facts.append(f"| `{fact.__name__}` | {said} | `{each.name}` | {each.queue} | {runs} |")
        if not subscribers:
            facts.append(f"| `{fact.__name__}` | {said} | nobody yet | | |")
    chores = ["| chore | function | every |", "|---|---|---|"]
    for name, (function, seconds) in wiring.CHORES.items():
        chores.append(f"| `{name}` | `{function.__module__}.{function.__name__}` | {seconds:g} s |")
    return [facts, chores]


def page_with(tables: list[list[str]]) -> str:
    """The text of the page with these tables in the place of its own. Raises ValueError when their number differs."""
    lines: list[str] = []
    waiting = list(tables)
    for is_table, group in groupby(PAGE.read_text().splitlines(), lambda line: line.startswith("|")):
        lines += waiting.pop(0) if is_table and waiting else group
    if waiting:
        raise ValueError(f"{PAGE} has fewer tables than there are")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import django

    import tests.environment  # noqa: F401 (a throw-away data directory, before Django reads its settings)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    django.setup()
    PAGE.write_text(page_with(tables()))
