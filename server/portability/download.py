"""An archive as one tar file: laid out from rows, streamed from the stores, from any byte on."""

from collections.abc import Iterator
from dataclasses import dataclass

from server.accounts.models import Account
from server.core.errors import NotFound, Unavailable, WrongState
from server.portability import making, manifest, paths, tar, vault
from server.portability.models import Archive, ArchiveFile

PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Layout:
    """The pieces of a tar in their order: bytes, or a stored file with its size."""

    name: str
    size: int
    digest: str
    pieces: tuple[bytes | ArchiveFile, ...]

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from ``start`` on. Raises Unavailable in the middle when a file is gone by now."""
        skip = start
        for piece in self.pieces:
            size = piece.size if isinstance(piece, ArchiveFile) else len(piece)
            if skip >= size:
                skip -= size
                continue
            yield from [piece[skip:]] if isinstance(piece, bytes) else _read(piece, skip)
            skip = 0


def _read(file: ArchiveFile, skip: int) -> Iterator[bytes]:
    left = file.size - skip
    try:
        with making.open_file(file) as source:
            source.seek(skip)
            while left and (piece := source.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece
    except FileNotFoundError as error:
        raise Unavailable("A file of this archive is gone. Make a new one.") from error
    if left:
        raise Unavailable("A file of this archive is cut off. Make a new one.")


def layout(archive: Archive) -> Layout:
    """How the tar of a whole archive is made up. Raises WrongState, NotFound (its manifest is gone)."""
    if archive.state != "ready":
        raise WrongState("This archive is not ready.")
    path = vault.path_of(archive.manifest_sha256)
    if not path.exists():
        raise NotFound("This archive is no longer kept. Make a new one.")
    about = manifest.parse(path.read_bytes())
    rows = {file.path: file for file in archive.files.all()}
    described = manifest.describe(about.files, created=about.created, actor=archive.account.uri)
    pieces: list[bytes | ArchiveFile] = []
    for name, data in ((paths.DESCRIPTION, described), (paths.MANIFEST, about.data)):
        pieces.append(tar.header(name, len(data), moment=about.created) + data + tar.padding(len(data)))
    for listed in about.files:
        row = rows[listed.path]
        pieces += [tar.header(row.path, row.size, moment=about.created), row, tar.padding(row.size)]
    pieces.append(tar.END)
    size = sum(piece.size if isinstance(piece, ArchiveFile) else len(piece) for piece in pieces)
    name = f"{archive.account.handle}-{about.created:%Y-%m-%d}-{about.seq}.tar"
    return Layout(name, size, about.digest, tuple(pieces))


def archive_of(account: Account, archive_id: int) -> Archive:
    """An archive of this account. Raises NotFound: others must not even learn that it exists."""
    found = Archive.objects.select_related("account").filter(pk=archive_id, account=account).first()
    if found is None:
        raise NotFound("There is no such archive.")
    return found
