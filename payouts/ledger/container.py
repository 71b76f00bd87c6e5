"""The file of a statement: gzip that any tool opens, and in which no byte can change unseen.

DEFLATE has many spellings of one text, and gzip's header has bytes that nobody reads. So the header is fixed to the last byte
and carries, as an extra field ``TS``, the SHA-256 of everything behind it. The digest finds damage; it proves nothing about
who wrote the file, which is what the proofs inside are for.
"""

import zlib
from hashlib import sha256
from typing import Final

from payouts.ledger.errors import StatementDamaged, TooLarge

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
TEXT_BYTES_MAX: Final = 32 * 1024 * 1024

# RFC 1952 2.3: magic, DEFLATE, FEXTRA only, no time, slowest compression, unknown system; XLEN 36, TS, 32 bytes.
HEADER: Final = bytes.fromhex("1f8b08040000000002ff") + b"\x24\x00TS\x20\x00"
_BODY_AT: Final = len(HEADER) + 32


def pack(text: bytes) -> bytes:
    """The file of a text. Raises TooLarge."""
    if len(text) > TEXT_BYTES_MAX:
        raise TooLarge(f"{len(text)} bytes")
    deflate = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    trailer = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    body = deflate.compress(text) + deflate.flush() + trailer
    return HEADER + sha256(body).digest() + body


def unpack(data: bytes) -> bytes:
    """The text of a file. Raises StatementDamaged, TooLarge."""
    if len(data) > FILE_BYTES_MAX:
        raise TooLarge(f"{len(data)} bytes")
    body = data[_BODY_AT:]
    if not data.startswith(HEADER) or sha256(body).digest() != data[len(HEADER) : _BODY_AT]:
        raise StatementDamaged
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        text = inflate.decompress(body, TEXT_BYTES_MAX + 1)
    except zlib.error as error:
        raise StatementDamaged from error
    if len(text) > TEXT_BYTES_MAX:
        raise TooLarge("the text is too long")
    trailer = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    if not inflate.eof or inflate.unused_data != trailer:
        raise StatementDamaged("the DEFLATE stream ends elsewhere, or the trailer is of another text")
    return text
