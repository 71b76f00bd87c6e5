"""Signed notes (C2SP signed-note): text, a blank line, one signature line per key.

Opening a note *is* getting the list of its verified signatures: there is no text without it.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple

from payouts.ledger import ed25519
from payouts.ledger.errors import (
    BadBase64,
    BadKey,
    BadSignature,
    DuplicateSignature,
    MalformedNote,
    NoKnownSignature,
    UnknownSignature,
    UnsupportedAlgorithm,
)
from payouts.ledger.fields import from_base64, to_base64

NOTE_BYTES_MAX: Final = 65_536
SIGNATURES_MAX: Final = 100

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
# What C2SP now prefers. libsodium does not have it: whoever does gives its verifier to ``open_note`` (see mldsa.py).
ML_DSA_44: Final = 0x06
KEY_BYTES: Final[Mapping[int, int]] = {ED25519: ed25519.KEY_BYTES, COSIGNATURE: ed25519.KEY_BYTES, ML_DSA_44: 1312}

_TIMESTAMP_BYTES: Final = 8
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE_LINE = re.compile(r"\u2014 ([^ ]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name; name and ``key_id`` together say which key signed."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before every signature."""
        return key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.algorithm]) + self.public)}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name. ``algorithm``: ED25519 for a log, COSIGNATURE for witness, mirror and auditor."""

    name: str
    algorithm: int
    seed: bytes

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.algorithm, ed25519.public_of(self.seed))


# (key, text, what stands behind the key id) -> the timestamp, 0 where there is none. Raises BadSignature.
Verifier = Callable[[VerifierKey, str, bytes], int]
NO_MORE: Final[Mapping[int, Verifier]] = MappingProxyType({})


class SignatureLine(NamedTuple):
    """One line of a note, not verified: the name, the key id with the signature, and how these were written."""

    name: str
    signed: bytes
    text: str


class Signature(NamedTuple):
    """A verified signature; ``timestamp`` in seconds since 1970, 0 for a key that says none."""

    key: VerifierKey
    timestamp: int


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its text and the signatures that were verified, in the order of the note; at least one."""

    text: str
    signatures: tuple[Signature, ...]

    def signed_by(self, key: VerifierKey) -> Signature | None:
        """The verified signature of a key, if there is one."""
        return next((signature for signature in self.signatures if signature.key == key), None)


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """The first four bytes of SHA-256(name, newline, algorithm, key)."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def parse_vkey(text: str) -> VerifierKey:
    """The key that ``name+id+base64`` says, checked as keys are at registration. Raises BadKey, UnsupportedAlgorithm."""
    found = _VKEY.fullmatch(text)
    if found is None:
        raise BadKey(f"{text[:80]!r} is no verifier key")
    try:
        data = from_base64(found[3])
        algorithm, public = data[0], data[1:]
        right_id = key_id(found[1], algorithm, public).hex()
    except (BadBase64, UnicodeEncodeError) as error:
        raise BadKey from error
    if algorithm not in KEY_BYTES:
        raise UnsupportedAlgorithm(f"algorithm {algorithm:#04x}")
    if len(public) != KEY_BYTES[algorithm] or right_id != found[2]:
        raise BadKey("the key id is not that of the key")
    if algorithm != ML_DSA_44:
        ed25519.check_public_key(public)
    return VerifierKey(found[1], algorithm, public)


def sign_note(text: str, *signers: Signer) -> bytes:
    """The note of ``text`` (which ends in a newline) with a signature of each signer of type ED25519."""
    lines = [signature_line(signer.verifier, ed25519.sign(signer.seed, text.encode())) for signer in signers]
    return add_signatures(text.encode() + b"\n", lines)


def signature_line(key: VerifierKey, signature: bytes) -> str:
    """The line of a note, without its newline."""
    return f"\u2014 {key.name} {to_base64(key.key_id + signature)}"


def add_signatures(note: bytes, lines: Iterable[str]) -> bytes:
    """The note with more signature lines at its end."""
    return note + "".join(f"{line}\n" for line in lines).encode()


def open_note(
    data: bytes, keys: Sequence[VerifierKey], *, only_known: bool = False, more: Mapping[int, Verifier] = NO_MORE
) -> Note:
    """The text of a note and its signatures by ``keys``, all of which must verify.

    ``only_known`` refuses signatures of other keys; else they are ignored, as C2SP asks. ``more``: verifiers of algorithms
    beyond Ed25519; a key of an algorithm that nobody here can verify is as good as unknown: it never counts.
    Raises MalformedNote, BadSignature, DuplicateSignature, UnknownSignature, NoKnownSignature.
    """
    text, lines = split_note(data)
    verifiers = {**more, **_VERIFIERS}
    known = {(key.name, key.key_id): key for key in keys if key.algorithm in verifiers}
    verified: dict[VerifierKey, Signature] = {}
    for line in lines:
        key = known.get((line.name, line.signed[:4]))
        if key is None:
            if only_known:
                raise UnknownSignature(line.name)
            continue
        if key in verified:
            raise DuplicateSignature(line.name)
        if to_base64(line.signed) != line.text:
            raise BadSignature("padding bits that are not zero")
        verified[key] = Signature(key, verifiers[key.algorithm](key, text, line.signed[4:]))
    if not verified:
        raise NoKnownSignature
    return Note(text, tuple(verified.values()))


def split_note(data: bytes) -> tuple[str, list[SignatureLine]]:
    """The text and the signature lines, nothing verified. Raises MalformedNote."""
    if len(data) > NOTE_BYTES_MAX:
        raise MalformedNote(f"{len(data)} bytes")
    try:
        note = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedNote("not UTF-8") from error
    if any(character < " " and character != "\n" for character in note):
        raise MalformedNote("a control character")
    head, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise MalformedNote("no blank line before the signatures, or no newline after them")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise MalformedNote(f"{len(lines)} signatures")
    return head + "\n", [_split_line(line) for line in lines]


def _split_line(line: str) -> SignatureLine:
    found = _SIGNATURE_LINE.fullmatch(line)
    if found is None or _NAME.fullmatch(found[1]) is None:
        raise MalformedNote(f"{line[:80]!r} is no signature line")
    # With the alphabet checked, the length decides; decoders disagree about padding that nothing asks for.
    if len(found[2]) % 4:
        raise MalformedNote("a signature is not base64")
    signed = b64decode(found[2], validate=True)
    if len(signed) <= 4:  # noqa: PLR2004 - a key id and something behind it
        raise MalformedNote("a signature is empty")
    return SignatureLine(found[1], signed, found[2])


def cosigned_text(text: str, timestamp: int) -> bytes:
    """What a cosignature/v1 signs: that the text was the newest consistent checkpoint at that time (C2SP tlog-cosignature)."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def split_timestamp(signed: bytes) -> tuple[int, bytes]:
    """The timestamp that stands before a cosignature, and what stands behind it. Raises BadSignature."""
    timestamp = int.from_bytes(signed[:_TIMESTAMP_BYTES])
    if timestamp >= 1 << 63:
        raise BadSignature("the time of a cosignature is beyond 2^63 - 1")
    return timestamp, signed[_TIMESTAMP_BYTES:]


def _verify_plain(key: VerifierKey, text: str, signature: bytes) -> int:
    ed25519.verify(key.public, text.encode(), signature)
    return 0


def _verify_cosignature(key: VerifierKey, text: str, signature: bytes) -> int:
    timestamp, rest = split_timestamp(signature)
    ed25519.verify(key.public, cosigned_text(text, timestamp), rest)
    return timestamp


_VERIFIERS: Final[Mapping[int, Verifier]] = {
    ED25519: _verify_plain,
    COSIGNATURE: _verify_cosignature,
}
