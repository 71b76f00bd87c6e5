"""Statements: everything that shows what instances owe to one identity, in one file that proves itself offline.

A debtor makes its part (``debtor_part``), any home puts the parts together (``assemble``); ``verdict.verify`` judges the file.
The form is docs/reference/statement-format.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from payouts.ledger import canonical, container
from payouts.ledger.accounts_root import Run, parse_leaf
from payouts.ledger.checkpoint import CHECKPOINT_BYTES_MAX, SignedCheckpoint
from payouts.ledger.errors import (
    AccountLeafMissing,
    BadBase64,
    BadMember,
    LedgerError,
    MalformedStatement,
    RangesUnsorted,
)
from payouts.ledger.fields import (
    VERSION,
    bytes_from_base64,
    check_members,
    check_version,
    from_base64,
    hashes_from_base64,
    is_ascending,
    is_integer,
    is_text,
)
from payouts.ledger.fields import to_base64 as b64
from payouts.ledger.merkle import PROOF_HASHES_MAX, Hash, Nodes, prove_inclusion
from payouts.ledger.money import ORIGIN, SCID
from payouts.ledger.note import VerifierKey, split_note
from payouts.ledger.policy import exact_policy
from payouts.ledger.ranges import RANGE_PROOF_HASHES_MAX, prove_range

MEMBERS: Final = frozenset({"v", "scid", "identity", "debtors", "policy"})
DEBTOR_MEMBERS: Final = frozenset({"origin", "genesis", "checkpoint", "ranges", "agreements", "account_leaf", "account_proof"})
DEBTORS_MAX: Final = 256
IDENTITY_LINES_MAX: Final = 2_000
RANGES_MAX: Final = 20_000
AGREEMENTS_MAX: Final = 1_000
# Of quotes, commas and opening brackets; a file of nothing else would take a hundred times its size in memory. Proofs have one
# for 15 bytes, so that no statement comes near.
MARKS_MAX: Final = 3_000_000

# A member ``entries``, a list that is not empty -> the bytes of each. Raises BadBase64.
DecodeRun = Callable[[list[Any]], Iterable[bytes]]

_is_scid = is_text(SCID)
_is_origin = is_text(ORIGIN)
_is_index = is_integer()


@dataclass(frozen=True, slots=True)
class Range:
    """Neighbouring entries from ``start`` on, and their range proof."""

    start: int
    entries: tuple[bytes, ...]
    proof: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Debtor:
    """What one debtor's part says, nothing verified."""

    origin: str
    genesis: bytes
    genesis_proof: tuple[Hash, ...]
    checkpoint: bytes
    ranges: tuple[Range, ...]
    agreements: tuple[bytes, ...]
    run: Run


@dataclass(frozen=True, slots=True)
class Statement:
    """A well-formed statement, nothing verified."""

    scid: str
    identity: tuple[bytes, ...]
    debtors: tuple[Debtor, ...]
    policy: str


def parse_statement(data: bytes) -> Statement:
    """The statement in a file's bytes.

    Raises StatementDamaged, AccountLeafMissing, RangesUnsorted, MalformedStatement and the errors of canonical.check_marks, of
    canonical.decode, of members and of base64.
    """
    text = container.unpack(data)
    canonical.check_marks(text, marks_max=MARKS_MAX)
    document, decode_run = _read_document(text)
    check_members(document, MEMBERS, "statement")
    check_version(document)
    lines, debtors, policy = document["identity"], document["debtors"], document["policy"]
    if not _is_scid(document["scid"]) or type(policy) is not str:
        raise MalformedStatement("scid or policy")
    if not _is_list(lines, IDENTITY_LINES_MAX) or not all(type(line) is str and "\n" not in line for line in lines):
        raise MalformedStatement("identity")
    if not _is_list(debtors, DEBTORS_MAX):
        raise MalformedStatement("debtors")
    parsed = tuple(_parse_debtor(debtor, decode_run) for debtor in debtors)
    if not is_ascending(debtor.origin for debtor in parsed):
        raise MalformedStatement("debtors are not sorted by origin")
    return Statement(document["scid"], tuple(line.encode() for line in lines), parsed, policy)


def _is_list(value: Any, count_max: int) -> bool:
    return type(value) is list and 1 <= len(value) <= count_max


def _read_document(text: bytes) -> tuple[Any, DecodeRun]:
    """The JSON of a statement, and what gives the entries that a member ``entries`` stands for.

    Nearly all of a statement is the base64 of entries, which has its own strict check. So these lists are cut out before the JSON
    is read, and their numbers stand in their places. Where that gives no JSON, or one is no base64, the text is read as it is,
    for the reason that comes first.
    """
    pieces, kept, done = text.split(b'"'), list[bytes](), 0
    runs: list[list[bytes]] = []
    for place in [place for place, piece in enumerate(pieces) if piece == b"entries"]:
        start = place + 2
        if place < done or pieces[place + 1 : start] != [b":["]:
            continue
        end = start + 1
        while pieces[end : end + 1] == [b","]:
            end += 2
        kept += [*pieces[done:start], b"%d" % len(runs)]
        runs.append(pieces[start:end:2])
        done = end
    kept += pieces[done:]
    try:
        entries = [tuple(map(bytes_from_base64, run)) for run in runs]
        document = canonical.decode(b'"'.join(kept), bytes_max=container.TEXT_BYTES_MAX)
    except LedgerError:
        return canonical.decode(text, bytes_max=container.TEXT_BYTES_MAX), lambda value: map(from_base64, value)
    return document, lambda value: entries[_number(value)]


def _number(value: list[Any]) -> int:
    """The number of a list that was cut out: all were that begin with a text."""
    if type(value[0]) is not str:
        raise BadBase64
    return int(value[0])


def _parse_debtor(value: Any, decode_run: DecodeRun) -> Debtor:
    if type(value) is dict and not value.get("account_leaf"):
        raise AccountLeafMissing
    check_members(value, DEBTOR_MEMBERS, "debtor")
    check_members(value["genesis"], frozenset({"entry", "proof"}), "genesis")
    check_members(value["account_leaf"], frozenset({"index", "leaves"}), "account_leaf")
    leaf, agreements = value["account_leaf"], value["agreements"]
    if not _is_origin(value["origin"]) or type(value["checkpoint"]) is not str or not _is_index(leaf["index"]):
        raise MalformedStatement("origin, checkpoint or account_leaf")
    if type(leaf["leaves"]) is not list or type(agreements) is not list or len(agreements) > AGREEMENTS_MAX:
        raise MalformedStatement("leaves or agreements")
    if not _is_list(value["ranges"], RANGES_MAX):
        raise RangesUnsorted("no ranges")
    ranges = tuple(_parse_range(one, decode_run) for one in value["ranges"])
    # Entry 0 is the genesis and stands apart; two ranges that touch would be one.
    ends = [1, *(one.start + len(one.entries) for one in ranges)]
    if any(one.start < end + (number > 0) for number, (one, end) in enumerate(zip(ranges, ends, strict=False))):
        raise RangesUnsorted
    return Debtor(
        origin=value["origin"],
        genesis=from_base64(value["genesis"]["entry"]),
        genesis_proof=hashes_from_base64(value["genesis"]["proof"], count_max=PROOF_HASHES_MAX),
        checkpoint=value["checkpoint"].encode(),
        ranges=ranges,
        agreements=tuple(map(from_base64, agreements)),
        run=Run(
            leaf["index"],
            tuple(map(parse_leaf, leaf["leaves"])),
            hashes_from_base64(value["account_proof"], count_max=RANGE_PROOF_HASHES_MAX),
        ),
    )


def _parse_range(value: Any, decode_run: DecodeRun) -> Range:
    check_members(value, frozenset({"start", "entries", "proof"}), "range")
    if not _is_index(value["start"]) or type(value["entries"]) is not list or not value["entries"]:
        raise RangesUnsorted("a range without start or entries")
    proof = hashes_from_base64(value["proof"], count_max=RANGE_PROOF_HASHES_MAX)
    return Range(value["start"], tuple(decode_run(value["entries"])), proof)


def debtor_part(
    *,
    signed: SignedCheckpoint,
    genesis: bytes,
    entries: Mapping[int, bytes],
    agreements: Iterable[bytes],
    run: Run,
    nodes: Nodes,
) -> dict[str, Any]:
    """What a debtor shows to one identity, as JSON.

    ``entries``: by index, all that touch the identity's accounts, the latest ``accounts.root`` and all ``key.rotate``;
    ``agreements``: their canonical bytes in order of their ids; ``nodes``: the tree of the checkpoint. Only signatures that
    ``signed`` verified are kept.
    """
    size = signed.checkpoint.size
    ranges = [
        {
            "start": start,
            "entries": [b64(entries[index]) for index in range(start, end)],
            "proof": _b64s(prove_range(nodes, start, end, size)),
        }
        for start, end in _runs(sorted(entries))
    ]
    return {
        "origin": signed.checkpoint.origin,
        "genesis": {"entry": b64(genesis), "proof": _b64s(prove_inclusion(nodes, 0, size))},
        "checkpoint": keep_signatures(signed).decode(),
        "ranges": ranges,
        "agreements": [b64(agreement) for agreement in agreements],
        "account_leaf": {"index": run.index, "leaves": [leaf.document() for leaf in run.leaves]},
        "account_proof": _b64s(run.proof),
    }


def keep_signatures(signed: SignedCheckpoint) -> bytes:
    """The note of a checkpoint with nothing but the signatures that were verified. Raises LedgerError when it is too large."""
    text, lines = split_note(signed.data)
    verified = {(signature.key.name, signature.key.key_id) for signature in signed.note.signatures}
    kept = [f"\u2014 {line.name} {line.text}\n" for line in lines if (line.name, line.signed[:4]) in verified]
    note = f"{text}\n{''.join(kept)}".encode()
    if len(note) > CHECKPOINT_BYTES_MAX:
        raise BadMember("a checkpoint with more signatures than fit")
    return note


def assemble(
    *,
    scid: str,
    identity: Sequence[bytes],
    parts: Sequence[Mapping[str, Any]],
    logs: Iterable[VerifierKey],
    signed: Sequence[SignedCheckpoint],
) -> bytes:
    """The file of a statement.

    ``identity``: the lines of the identity's log; ``parts``: one for each debtor; ``logs`` and ``signed``: the ledger keys and
    the opened checkpoints of the same debtors.
    """
    document = {
        "v": VERSION,
        "scid": scid,
        "identity": [line.decode() for line in identity],
        "debtors": sorted(parts, key=lambda part: str(part["origin"])),
        "policy": exact_policy(tuple(logs), signed),
    }
    return container.pack(canonical.encode(document))


def _b64s(hashes: Iterable[Hash]) -> list[str]:
    return [b64(one) for one in hashes]


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The runs of neighbouring numbers, as (start, end)."""
    start = 0
    for place, index in enumerate(indices):
        if place + 1 == len(indices) or indices[place + 1] != index + 1:
            yield indices[start], index + 1
            start = place + 1
