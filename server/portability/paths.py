"""Names of files in an archive, and which of them are private. Pure."""

import re
import unicodedata
from dataclasses import dataclass

from server.portability.errors import BadPath

# What the name field of a plain tar header holds: nothing longer is ever written or read.
PATH_BYTES_MAX = 100
MANIFEST, DESCRIPTION = "manifest.json", "manifest.yml"
# What the owner herself took out of its seal; it stands behind all that the manifest lists.
OPENED = "opened/"
MEDIA = re.compile(r"media/sha256/([0-9a-f]{64})")


@dataclass(frozen=True)
class Private:
    """A private part: its name when it is open, its name when it is sealed to the owner's ``#box`` key."""

    name: str
    sealed: str


PRIVATE = {
    each.name: each
    for each in (
        Private("actor/keys.json", "actor/keys.sealed"),
        Private("graph/blocks.csv", "graph/blocks.csv.sealed"),
        Private("graph/bookmarks.csv", "graph/bookmarks.csv.sealed"),
        Private("graph/domain_blocks.csv", "graph/domain_blocks.csv.sealed"),
        Private("graph/followers.jsonl", "graph/followers.jsonl.sealed"),
        Private("graph/lists.csv", "graph/lists.csv.sealed"),
        Private("graph/mutes.csv", "graph/mutes.csv.sealed"),
        Private("objects/likes.jsonl", "objects/likes.jsonl.sealed"),
        Private("settings.json", "settings.sealed"),
    )
}
SEALED_NAMES = {each.sealed: each.name for each in PRIVATE.values()}


def check(path: str) -> str:
    """``path``, if it may name a file in an archive: relative, NFC, ``/`` between plain parts. Raises BadPath."""
    if not path or len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        raise BadPath("A name is empty or longer than 100 bytes.")
    if unicodedata.normalize("NFC", path) != path:
        raise BadPath("A name is not in Unicode's composed form (NFC).")
    if "\\" in path or any(unicodedata.category(each) in {"Cc", "Cs", "Cf"} for each in path):
        raise BadPath("A name has a backslash or an invisible character.")
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise BadPath("A name is absolute or leads out of the archive.")
    return path


def media(sha256: str) -> str:
    """Where the media file with this hash lies."""
    return f"media/sha256/{sha256}"


def is_private(path: str) -> bool:
    """Is this a private part that lies open?"""
    return path in PRIVATE
