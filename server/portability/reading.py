"""Reading an archive as a stream: the manifest first, then each file held against it. Constant memory. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from server.portability import manifest, paths, tar
from server.portability.errors import ArchiveTooLarge, BadManifest, NotListed, OutOfOrder, TooManyFiles, Truncated, WrongHash
from server.portability.manifest import File, Manifest
from server.portability.tar import Member

PIECE_BYTES = 1024 * 1024
DESCRIPTION_BYTES_MAX = 64 * 1024
# Parts that are read whole into memory.
PART_BYTES_MAX = 32 * 1024 * 1024
LINE_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True)
class Found:
    """A file in the archive; ``listed`` is None for what the owner opened herself."""

    member: Member
    listed: File | None


@dataclass(frozen=True)
class Archive:
    """An archive that was opened; nothing but the form of its manifest is checked yet."""

    file: BinaryIO
    manifest: Manifest
    bytes_max: int

    def files(self) -> Iterator[Found]:
        """The files that are there, in the order of their names. What is missing is missing: the caller compares.

        Raises what ``tar.members`` raises, NotListed, OutOfOrder, TooManyFiles, ArchiveTooLarge, WrongHash (another size).
        """
        listed = {file.path: file for file in self.manifest.files}
        before, total = b"", 0
        for count, member in enumerate(tar.members(self.file)):
            if count < 2:  # noqa: PLR2004 (the two manifests, which ``begin`` has read)
                continue
            if count > manifest.FILES_MAX + len(paths.PRIVATE) + 2:
                raise TooManyFiles
            total += member.size
            if total > self.bytes_max:
                raise ArchiveTooLarge
            opened = member.path.startswith(paths.OPENED)
            order = bytes([opened]) + member.path.encode()
            if order <= before:
                raise OutOfOrder
            before = order
            yield Found(member, None if opened else _judge(member, listed))


def _judge(member: Member, listed: dict[str, File]) -> File:
    file = listed.get(member.path)
    if file is None:
        raise NotListed(f"{member.path} is not in the manifest.")
    if file.size != member.size:
        raise WrongHash(f"{member.path} has another size than the manifest says.")
    return file


def begin(file: BinaryIO, *, bytes_max: int) -> Archive:
    """Open an archive: ``manifest.yml`` and ``manifest.json`` come first. Raises what ``manifest.parse`` raises, BadManifest."""
    found = []
    for member in tar.members(file):
        found.append(member)
        if [each.path for each in found] != [paths.DESCRIPTION, paths.MANIFEST][: len(found)]:
            raise BadManifest("An archive begins with manifest.yml and manifest.json.")
        if len(found) == 2:  # noqa: PLR2004
            break
    if len(found) < 2:  # noqa: PLR2004
        raise BadManifest("An archive begins with manifest.yml and manifest.json.")
    if found[0].size > DESCRIPTION_BYTES_MAX or found[1].size > manifest.MANIFEST_BYTES_MAX:
        raise ArchiveTooLarge("The manifest is too large.")
    return Archive(file, manifest.parse(read_whole(file, found[1])), bytes_max)


def pieces(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """The bytes of a member, a piece at a time. Raises Truncated."""
    file.seek(member.offset)
    left = member.size
    while left:
        piece = file.read(min(PIECE_BYTES, left))
        if not piece:
            raise Truncated
        left -= len(piece)
        yield piece


def read_whole(file: BinaryIO, member: Member) -> bytes:
    """All bytes of a small member. Raises Truncated, ArchiveTooLarge."""
    if member.size > max(PART_BYTES_MAX, manifest.MANIFEST_BYTES_MAX):
        raise ArchiveTooLarge(f"{member.path} is too large.")
    return b"".join(pieces(file, member))


def check_hash(file: BinaryIO, found: Found) -> None:
    """Read a file to its end. Raises WrongHash unless it is the one that the manifest lists, Truncated."""
    digest = hashlib.sha256()
    for piece in pieces(file, found.member):
        digest.update(piece)
    if found.listed is not None and digest.hexdigest() != found.listed.sha256:
        raise WrongHash(f"{found.member.path} is not the file that the manifest lists.")


def lines(data: Iterator[bytes], *, line_bytes_max: int = LINE_BYTES_MAX) -> Iterator[bytes]:
    """The lines of a stream, without their ends. Raises ArchiveTooLarge for a line that is too long."""
    rest = b""
    for piece in data:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > line_bytes_max or any(len(line) > line_bytes_max for line in whole):
            raise ArchiveTooLarge("A line is too long.")
        yield from whole
    if rest:
        yield rest
