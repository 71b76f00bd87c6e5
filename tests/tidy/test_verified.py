"""Only a verifier makes verified values."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# ``signatures`` and ``proving`` verify, ``inbox`` restores what it let in, ``verified`` is the type itself.
MAKERS = {"federation/wire/signatures.py", "federation/wire/proving.py", "federation/inbox.py", "federation/wire/verified.py"}


def test_who_breaks_the_seal() -> None:
    using = {
        str(path.relative_to(ROOT))
        for folder in ("federation", "server")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bSEAL\b", path.read_text())
    }
    assert using == MAKERS
