"""The one spelling of tar that archives have: ustar headers, plain files, nothing else. Pure.

Whatever else tar can say (links, devices, folders, sparse files, extended headers) is refused by name: an archive needs none
of it, and each has led some reader astray. Every tar program reads what is written here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from server.portability import paths
from server.portability.errors import (
    BadHeader,
    DeviceRefused,
    LinkRefused,
    NotAnArchive,
    SparseRefused,
    TrailingBytes,
    Truncated,
)

BLOCK = 512
END = bytes(2 * BLOCK)
# GNU tar pads to records of this size.
PADDING_BYTES_MAX = 20 * BLOCK
SIZE_MAX = 8**11 - 1
_MAGIC = b"ustar\x0000"
_REFUSED = {b"1": LinkRefused, b"2": LinkRefused, b"S": SparseRefused}
_DEVICES = frozenset({b"3", b"4", b"5", b"6", b"7"})


@dataclass(frozen=True)
class Member:
    """A file in a tar: its bytes begin at ``offset``."""

    path: str
    size: int
    offset: int

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.offset + self.size + -self.size % BLOCK


def header(path: str, size: int, *, moment: datetime) -> bytes:
    """The 512 bytes before a file of ``size`` bytes. Raises BadPath, ValueError for a size that a plain header cannot say."""
    if not 0 <= size <= SIZE_MAX:
        raise ValueError(f"a file of {size} bytes has no plain tar header")
    fields = [
        (paths.check(path).encode(), 100),
        (b"0000644\0", 8),
        (b"0000000\0", 8),
        (b"0000000\0", 8),
        (b"%011o\0" % size, 12),
        (b"%011o\0" % int(moment.timestamp()), 12),
        (b" " * 8, 8),
        (b"0", 1),
        (b"", 100),
        (_MAGIC, 8),
        (b"", 32 + 32 + 8 + 8 + 155 + 12),
    ]
    block = b"".join(value.ljust(width, b"\0") for value, width in fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size: int) -> bytes:
    """The zeros behind a file of ``size`` bytes."""
    return bytes(-size % BLOCK)


def members(file: BinaryIO) -> Iterator[Member]:
    """The members of a tar, one after another; between two of them the caller may read the file wherever she likes.

    Raises NotAnArchive, Truncated, TrailingBytes, BadHeader, BadPath, LinkRefused, DeviceRefused, SparseRefused.
    """
    at, first = 0, True
    while True:
        file.seek(at)
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise NotAnArchive if first else Truncated
        if not any(block):
            if first:
                raise NotAnArchive
            _check_end(file)
            return
        member = read_header(block, at, first=first, check=paths.check)
        yield member
        file.seek(member.offset + member.size)
        rest = member.end - member.offset - member.size
        zeros = file.read(rest)
        if len(zeros) < rest:
            raise Truncated
        if any(zeros):
            raise TrailingBytes
        at, first = member.end, False


def _check_end(file: BinaryIO) -> None:
    rest = file.read(PADDING_BYTES_MAX + 1)
    if len(rest) < BLOCK:
        raise Truncated
    if len(rest) > PADDING_BYTES_MAX or any(rest):
        raise TrailingBytes


def read_header(block: bytes, at: int, *, first: bool, check: Callable[[str], str], prefix: bool = False) -> Member:
    """What the header at ``at`` says; ``check`` judges its name. ``prefix``: a long name may be in two parts, as ustar has it.

    Raises as ``members`` does.
    """
    kind = block[156:157]
    if block[257:263] not in {b"ustar\0", b"ustar "}:
        raise NotAnArchive if first else BadHeader
    if kind in _REFUSED:
        raise _REFUSED[kind]
    if kind in _DEVICES:
        raise DeviceRefused
    if kind not in {b"0", b"\0"} or block[257:265] != _MAGIC or (any(block[345:500]) and not prefix):
        raise BadHeader("The archive has an extended header, which archives never need.")
    summed = sum(block[:148]) + 8 * 32 + sum(block[156:])
    if _octal(block[148:156]) != summed:
        raise BadHeader("The checksum of a header is wrong.")
    name = _text(block[345:500]) + "/" + _text(block[:100]) if any(block[345:500]) else _text(block[:100])
    if any(block[157:257]):
        raise BadHeader("A header has bytes that nobody reads.")
    return Member(check(name), _octal(block[124:136]), at + BLOCK)


def _text(field: bytes) -> str:
    name, _, rest = field.partition(b"\0")
    if any(rest):
        raise BadHeader("A header has bytes that nobody reads.")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise BadHeader("A name is not UTF-8.") from error


def _octal(field: bytes) -> int:
    digits = field.rstrip(b"\0 ")
    if not digits or not all(48 <= each < 56 for each in digits):  # noqa: PLR2004 (0 to 7)
        raise BadHeader("A number in a header is not written in octal digits.")
    return int(digits, 8)
