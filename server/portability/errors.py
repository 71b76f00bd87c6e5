"""Why an archive is refused: each reason has a name that pages, commands and tests can show. Pure."""

from server.core.errors import TributaryError


class ArchiveRefused(TributaryError):
    """This archive is not accepted."""

    code, status, permanent = "archive_refused", 422, True


class NotAnArchive(ArchiveRefused):
    """This file is not an archive that we can read."""

    code = "not_an_archive"


class Truncated(ArchiveRefused):
    """The archive ends in the middle."""

    code = "truncated"


class TrailingBytes(ArchiveRefused):
    """There are bytes behind the end of the archive, or between its files."""

    code = "trailing_bytes"


class BadHeader(ArchiveRefused):
    """A header in the archive is damaged or of an extended kind that archives of ours never have."""

    code = "bad_header"


class LinkRefused(ArchiveRefused):
    """The archive contains a link."""

    code = "link"


class DeviceRefused(ArchiveRefused):
    """The archive contains a device, a pipe or a folder instead of a file."""

    code = "device"


class SparseRefused(ArchiveRefused):
    """The archive contains a sparse file."""

    code = "sparse"


class BadPath(ArchiveRefused):
    """The archive contains a file whose name leads elsewhere or is not written the one way."""

    code = "bad_path"


class OutOfOrder(ArchiveRefused):
    """The files are not in the order of their names, or one name comes twice."""

    code = "out_of_order"


class TooManyFiles(ArchiveRefused):
    """The archive has more files than are read."""

    code = "too_many_files"


class ArchiveTooLarge(ArchiveRefused):
    """The archive, or a file in it, is larger than this server takes."""

    code = "archive_too_large"


class Bomb(ArchiveRefused):
    """A file in the archive unpacks to far more than it is."""

    code = "compression_bomb"


class Encrypted(ArchiveRefused):
    """A file in the archive is encrypted."""

    code = "encrypted"


class BadManifest(ArchiveRefused):
    """The archive has no manifest that can be read."""

    code = "bad_manifest"


class WrongRoot(ArchiveRefused):
    """The manifest's Merkle root is not that of its list of files (rule V19)."""

    code = "wrong_root"


class WrongSigner(ArchiveRefused):
    """The manifest is not signed by a key of this identity."""

    code = "wrong_signer"


class Unvouched(ArchiveRefused):
    """The key that signed this archive was removed since, and nobody has seen the archive before that."""

    code = "unvouched"


class ForeignIdentity(ArchiveRefused):
    """The archive belongs to somebody else."""

    code = "foreign_identity"


class NotListed(ArchiveRefused):
    """The archive contains a file that its manifest does not list."""

    code = "not_listed"


class WrongHash(ArchiveRefused):
    """A file in the archive is not the one that the manifest lists (rule V19)."""

    code = "wrong_hash"


class ForgedPost(ArchiveRefused):
    """The archive contains a post that its owner did not make."""

    code = "forged_post"


class BadPart(ArchiveRefused):
    """A file in the archive is not what its name says."""

    code = "bad_part"
