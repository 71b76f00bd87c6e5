"""Write ``verifier.json`` beside this file: every verdict that an offline verifier must give, for verifiers in any language.

Run in the project's root: python -m tests.vectors.golden.make_verifier
A case has ``name``, ``run`` (``verify`` or ``verify-fork``), its file (``base64``; or ``from``: a file beside this one, a list in
it and a place there, whose ``base64`` or ``text`` it is; then ``flip``, a bit to flip, counted from the first bit of the first
byte, lowest first), the reader's ``policy`` or ``keys`` where she has any, and the ``exit`` status with what must stand in the
``report`` as JSON. Of a refusal only ``verified`` and ``reason`` are fixed. ``ed25519`` pins which signatures of the CCTV set hold
and which keys are let in at registration.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from payouts.ledger import canonical, container, ed25519
from payouts.ledger.errors import LedgerError
from payouts.ledger.fields import to_base64
from payouts.ledger.note import COSIGNATURE, ML_DSA_44, VerifierKey
from tests.payouts.ledger_world import alices_statement

HERE = Path(__file__).parent
TARGET = HERE / "verifier.json"
CCTV = "../ledger/cctv-ed25519.json"
ORDER = 2**252 + 27742317777372353535851937790883648493
FLIPS = 40


def cases() -> list[dict[str, Any]]:
    """All cases, in the order of their files."""
    found: list[dict[str, Any]] = []
    for run, name in (("verify", "statement"), ("verify-fork", "fork")):
        vectors = json.loads((HERE / "ledger" / f"{name}.json").read_text())
        for kind in ("good", "bad"):
            for place, vector in enumerate(vectors[kind]):
                given = {member: vector[member] for member in ("policy", "keys") if member in vector}
                found.append(
                    {
                        "name": f"{name}: {vector['name']}",
                        "run": run,
                        "from": [f"ledger/{name}.json", kind, place],
                        **given,
                        **_expected(vector, name),
                    }
                )
    bits = len(alices_statement()) * 8
    for number in range(FLIPS):
        bit = bits * number // FLIPS + number % 8
        found.append({"name": f"statement: bit {bit} flipped", "run": "verify", "from": ["ledger/statement.json", "good", 0], "flip": bit, **_refused("statement_damaged")})  # fmt: skip
    return found + [
        {"name": f"statement: {name}", "run": "verify", "base64": b64encode(data).decode(), **_refused(reason)}
        for name, data, reason in _more_statements()
    ] + _policies()  # fmt: skip


def _expected(vector: dict[str, Any], name: str) -> dict[str, Any]:
    if "error" in vector:
        return _refused(vector["error"])
    if name == "statement":
        return {"exit": 0, "report": vector["verdict"]}
    return {"exit": 0, "report": {"verified": True, "sizes": vector["sizes"]}}


def _refused(reason: str) -> dict[str, Any]:
    return {"exit": 1, "report": {"verified": False, "reason": reason}}


def _more_statements() -> list[tuple[str, bytes, str]]:
    def changed(change: Callable[[str], str], member: str = "checkpoint") -> bytes:
        document = json.loads(container.unpack(alices_statement()))
        place = document["debtors"][0] if member == "checkpoint" else document
        place[member] = change(place[member])
        return container.pack(canonical.encode(document))

    def signature(change: Callable[[bytes], bytes]) -> Callable[[str], str]:
        """A change of the log's own signature, which is the first line."""

        def apply(note: str) -> str:
            head, line, rest = note.split("\n", 5)[:4], note.split("\n", 5)[4], note.split("\n", 5)[5]
            words = line.split(" ")
            return "\n".join([*head, " ".join([*words[:2], to_base64(change(b64decode(words[2])))]), rest])

        return apply

    def larger(signed: bytes) -> bytes:
        return signed[:36] + (int.from_bytes(signed[36:], "little") + ORDER).to_bytes(32, "little")

    quantum = VerifierKey("pq.example/w1", ML_DSA_44, bytes(1312))
    return [
        ("nothing", b"", "statement_damaged"),
        ("a text", b"VERIFIED: what is owed to Alice", "statement_damaged"),
        ("not gzip for long", alices_statement()[:60], "statement_damaged"),
        ("cut off", alices_statement()[:-1], "statement_damaged"),
        ("a byte behind the end", alices_statement() + b"\0", "statement_damaged"),
        ("33 MiB in 33 KiB", _bomb(), "too_large"),
        ("no object", container.pack(b"[]"), "bad_member"),
        ("nested a thousand deep", container.pack(b"[" * 1000 + b"]" * 1000), "too_deep"),
        ("S of the log's signature plus the order of the group", changed(signature(larger)), "bad_signature"),
        ("R of the log's signature of small order", changed(signature(lambda one: one[:4] + bytes([1]) + bytes(31) + one[36:])), "bad_signature"),
        ("R of the log's signature not canonical", changed(signature(lambda one: one[:4] + b"\xee" + b"\xff" * 30 + b"\x7f" + one[36:])), "bad_signature"),
        ("a signature cut short", changed(signature(lambda one: one[:-1])), "bad_signature"),
        ("the log's signature twice", changed(lambda note: note + note.split("\n")[4] + "\n"), "duplicate_signature"),
        ("padding bits that are not zero", changed(_odd_padding), "bad_signature"),
        ("a checkpoint with a fourth line", changed(lambda note: note.replace("\n\n", "\nmore\n\n", 1)), "bad_signature"),
        ("a policy with an ML-DSA-44 witness", changed(lambda policy: f"{policy}witness q {quantum}\n", "policy"), "policy_not_exact"),
    ]  # fmt: skip


def _odd_padding(note: str) -> str:
    """The log's signature has 68 bytes and ends in one ``=``: the letter before has two bits that nobody reads."""
    line = note.split("\n")[4]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return note.replace(line, line[:-2] + letters[letters.index(line[-2]) + 1] + "=")


def _bomb() -> bytes:
    import zlib
    from hashlib import sha256

    text = bytes(container.TEXT_BYTES_MAX + 1)
    deflate = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    trailer = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    body = deflate.compress(text) + deflate.flush() + trailer
    return container.HEADER + sha256(body).digest() + body


def _policies() -> list[dict[str, Any]]:
    """The reader's own policy may be bad, too."""
    small = VerifierKey("w.example/w", COSIGNATURE, bytes(32))
    given = [
        ("a witness key of small order", f"witness w {small}\nquorum w\n", "malformed_policy"),
        ("no quorum", f"witness w {small}\n", "malformed_policy"),
        ("a carriage return", "quorum none\r\n", "malformed_policy"),
    ]
    return [
        {"name": f"policy: {name}", "run": "verify", "from": ["ledger/statement.json", "good", 0], "policy": policy, **_refused(reason)}
        for name, policy, reason in given
    ]  # fmt: skip


def signatures() -> dict[str, Any]:
    """The numbers of the CCTV set that hold, and those whose key would be let in."""
    accepted, registrable = [], []
    for row in json.loads((HERE / CCTV).read_text()):
        key = bytes.fromhex(row["key"])
        for check, numbers in (
            (lambda row=row, key=key: ed25519.verify(key, row["msg"].encode(), bytes.fromhex(row["sig"])), accepted),
            (lambda key=key: ed25519.check_public_key(key), registrable),
        ):
            try:
                check()
            except LedgerError:
                continue
            numbers.append(row["number"])
    return {"from": CCTV, "accepted": accepted, "registrable": registrable}


def make() -> dict[str, Any]:
    """The whole file."""
    return {"format": "verifier", "v": 1, "cases": cases(), "ed25519": signatures()}


def main() -> None:
    """Write it."""
    TARGET.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
