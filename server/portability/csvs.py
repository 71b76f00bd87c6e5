"""Mastodon's CSV exports: the columns it writes, and every form that it and its kin write, read. Pure.

Source: Mastodon's ``app/models/export.rb``, ``app/models/form/import.rb`` and docs.joinmastodon.org/user/moving/#export.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.portability.errors import ArchiveTooLarge, BadPart

ROWS_MAX = 100_000
CELL_CHARACTERS_MAX = 4_096


@dataclass(frozen=True)
class Table:
    """One kind of file: what Mastodon calls it, its heading (none for most), and how many cells a row needs."""

    filename: str
    heading: tuple[str, ...] = ()
    cells_min: int = 1


TABLES = {
    "following": Table("following_accounts.csv", ("Account address", "Show boosts", "Notify on new posts", "Languages")),
    "blocks": Table("blocked_accounts.csv"),
    "mutes": Table("muted_accounts.csv", ("Account address", "Hide notifications")),
    "domain_blocks": Table("blocked_domains.csv"),
    "lists": Table("lists.csv", cells_min=2),
    "bookmarks": Table("bookmarks.csv"),
}
# First cells that say that a row is a heading, in whatever case.
_HEADINGS = frozenset({"account address", "#domain", "#uri", "list name"})
# What other software calls the same files.
_ALIASES = {
    "follows.csv": "following",
    "following.csv": "following",
    "following_accounts.csv": "following",
    "blocks.csv": "blocks",
    "blocked_accounts.csv": "blocks",
    "mutes.csv": "mutes",
    "muted_accounts.csv": "mutes",
    "domain_blocks.csv": "domain_blocks",
    "blocked_domains.csv": "domain_blocks",
    "lists.csv": "lists",
    "bookmarks.csv": "bookmarks",
}


def kind_of(filename: str) -> str | None:
    """Which kind of table a file of this name is; None for another file. Copies such as ``mutes (1).csv`` count too."""
    name = filename.rpartition("/")[2].lower()
    stem = name.removesuffix(".csv").partition(" (")[0].strip()
    return _ALIASES.get(f"{stem}.csv") if name.endswith(".csv") else None


def write(kind: str, rows: Iterable[Sequence[str]]) -> bytes:
    """The file as Mastodon writes it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if TABLES[kind].heading:
        writer.writerow(TABLES[kind].heading)
    writer.writerows(rows)
    return out.getvalue().encode()


def read(kind: str, data: bytes) -> list[tuple[str, ...]]:
    """The rows, without a heading and empty lines, each once. Raises BadPart, ArchiveTooLarge."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadPart("This is not a CSV file in UTF-8.") from error
    if "\x00" in text:
        raise BadPart("This is not a CSV file.")
    rows: dict[tuple[str, ...], None] = {}
    try:
        for cells in csv.reader(io.StringIO(text), strict=True):
            row = tuple(cell.strip() for cell in cells)
            if not any(row) or (not rows and row[0].lower() in _HEADINGS):
                continue
            if len(row) < TABLES[kind].cells_min or not row[0] or any(len(cell) > CELL_CHARACTERS_MAX for cell in row):
                raise BadPart(f"A row is not one of {TABLES[kind].filename}.")
            rows[row] = None
            if len(rows) > ROWS_MAX:
                raise ArchiveTooLarge(f"More than {ROWS_MAX} rows.")
    except csv.Error as error:
        raise BadPart(f"This is not a CSV file: {error}") from error
    return list(rows)
