"""A large log that keeps every rule, made quickly: months of closes, each with thousands of accruals. For ``bench/ledger.py``."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from payouts.ledger import canonical
from payouts.ledger.entries import Draft
from payouts.ledger.fields import ZERO_HASH
from payouts.ledger.growth import EMPTY, Edge, grow
from payouts.ledger.merkle import hashes, leaf_hash, root_of
from payouts.ledger.note import COSIGNATURE, Signer
from payouts.ledger.replay import output_line
from payouts.ledger.tiles import Bundle, Tile
from tests.payouts.ledger_world import UNIT, Instance, Log, accepted, alpha, digest, draft_id, person, seed, statement_of

SHARE = 1_000
PAYEES = 20_000
STEP = 65_536
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
bench = Instance("bench.example")


def scid(number: int) -> str:
    """An identity that nobody has."""
    name = ""
    while number:
        number, digit = divmod(number, 58)
        name = BASE58[digit] + name
    return "Qm" + name.rjust(44, "1")


def accrual_drafts(count: int, round_number: int = 0) -> list[Draft]:
    """What a close gives the pen: one accrual each for ``count`` identities."""
    terms = digest("terms")
    return [
        Draft(
            "accrue",
            draft_id("bench", round_number, number),
            {
                "close": 5, "batch": count, "scid": scid(number), "currency": "EUR", "period": "2026-11", "amount": str(SHARE),
                "lines": terms, "agreements": [terms],
            },
            {f"L:payee:{scid(number)}#EUR/6": -SHARE, "L:pool:ads:2026-11#EUR/6": SHARE},
        )
        for number in range(round_number * count, round_number * count + count)
    ]  # fmt: skip


def whole_log(size: int) -> Iterator[bytes]:
    """The canonical entries of a log of ``size`` that a mirror accepts: written from templates, read by the real parser."""
    log = Log(bench)
    terms = digest("terms")
    body = {"agreement": terms, "blob": terms, "kind": "channel", "prev": ZERO_HASH, "effective_from": "2026-11-01T00:00:00Z"}
    log.append("2026-11-01T12:00:01Z", Draft("agreement", draft_id("terms"), body, {}))
    yield from (entry.data for entry in log.entries)
    names, heads = [scid(number) for number in range(PAYEES)], [(0, ZERO_HASH)] * PAYEES
    at, index, month = datetime(2026, 11, 2, tzinfo=UTC), 2, 0
    while index < size:
        count = min(PAYEES, size - index - 2)
        if count < 1:
            yield _filler(index, at)
            index += 1
            continue
        period, stamp = f"{2027 + month // 12}-{month % 12 + 1:02d}", at.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield _revenue(index, stamp, period, count)
        yield _close(index + 1, stamp, period, [(name, SHARE) for name in names[:count]])
        common = {
            "at": stamp,
            "period": period,
            "close": index + 1,
            "batch": count,
            "terms": terms,
            "share": SHARE,
            "origin": bench.origin,
        }
        for number in range(count):
            seq, prev = heads[number]
            own = {"scid": names[number], "seq": seq + 1, "prev": prev, "balance": (seq + 1) * SHARE, "index": index + 2 + number}
            data = (ACCRUAL % {**common, **own}).encode()
            heads[number] = seq + 1, leaf_hash(data).hex()
            yield data
        index, month, at = index + 2 + count, month + 1, at + timedelta(hours=1)


def _entry(index: int, stamp: str, type_name: str, body: object, postings: object) -> bytes:
    return canonical.encode({
        "v": 1, "origin": bench.origin, "index": index, "type": type_name, "at": stamp, "id": draft_id(index), "body": body,
        "postings": postings, "accounts": [],
    })  # fmt: skip


def _filler(index: int, at: datetime) -> bytes:
    return _entry(index, at.strftime("%Y-%m-%dT%H:%M:%SZ"), "will", {"document": digest("will")}, [])


def _revenue(index: int, stamp: str, period: str, count: int) -> bytes:
    amount = str(count * SHARE)
    body = {
        "source": "bank", "currency": "EUR", "gross": amount, "fee": "0", "net": amount, "reference": "", "evidence": digest("x"),
    }  # fmt: skip
    return _entry(index, stamp, "revenue", body, [["A:cash:bank#EUR/6", amount], [f"L:pool:ads:{period}#EUR/6", f"-{amount}"]])


def _close(index: int, stamp: str, period: str, shares: list[tuple[str, int]]) -> bytes:
    outputs = root_of(hashes(output_line(name, str(amount), 0) for name, amount in shares)).hex()
    body = {
        "period": period, "currency": "EUR", "pool": "ads", "algorithm": "ad-impression/1", "code": digest("code"), "entries": [],
        "inputs": digest("inputs"), "outputs": outputs, "amount": str(len(shares) * SHARE), "carry": "0", "accruals": len(shares),
    }  # fmt: skip
    return _entry(index, stamp, "close", body, [])


# %(name)s: from the member's name; the members stand in canonical order.
ACCRUAL = (
    '{"accounts":[{"balance_after":"%(balance)d","currency":"EUR","held_after":"0","prev":"%(prev)s","scid":"%(scid)s",'
    '"seq":%(seq)d}],"at":"%(at)s","body":{"agreements":["%(terms)s"],"amount":"%(share)d","batch":%(batch)d,"close":%(close)d,'
    '"currency":"EUR","lines":"%(terms)s","period":"%(period)s","scid":"%(scid)s"},"id":"%(index)032x","index":%(index)d,'
    '"origin":"%(origin)s","postings":[["L:payee:%(scid)s#EUR/6","-%(share)d"],["L:pool:ads:%(period)s#EUR/6","%(share)d"]],'
    '"type":"accrue","v":1}'
)


def write_log(folder: Path, size: int) -> Edge:
    """The files of a large log on the disk, as a mirror has them (only the last width of each tile); its edge."""
    edge, waiting = EMPTY, []
    for data in whole_log(size):
        waiting.append(data)
        if len(waiting) == STEP:
            edge, waiting = _write(folder, edge, waiting), []
    return _write(folder, edge, waiting)


def _write(folder: Path, edge: Edge, entries: list[bytes]) -> Edge:
    growth = grow(edge, entries)
    for path, data in growth.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return growth.edge


class FolderTiles:
    """A ``TileReader`` over files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile."""
        return (self.folder / tile.path()).read_bytes()

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of a bundle."""
        return (self.folder / bundle.path()).read_bytes()


def years_statement(others: int = 20_000) -> bytes:
    """Twelve months of a busy creator: 1,200 entries of hers among ``others`` of other people, six signatures."""
    alice = person("alice")
    log, terms = Log(alpha), accepted("alice")
    own = terms.id
    log.agree("2026-11-01T12:00:01Z", terms)
    day = datetime(2026, 11, 2, tzinfo=UTC)
    for month in range(12):
        at = (day + timedelta(days=30 * month)).strftime("%Y-%m-%dT%H:%M:%SZ")
        log.append(at, *(Draft("will", draft_id(month, number), {"document": digest("w")}, {}) for number in range(others // 12)))
        log.fund(at, 100 * UNIT)
        log.close(at, 100 * UNIT, [(alice.scid, own, 37)], period=f"{2027 + month // 12}-{month % 12 + 1:02d}")
        for _ in range(33):
            log.payout(at, alice.scid, SHARE, "intent", "sent", "settled")
    log.commit_accounts("2027-12-01T10:00:00Z")
    witnesses = [(Signer(f"w{number}.example/witness/1", COSIGNATURE, seed(f"w{number}")), 1_830_000_000) for number in range(5)]
    return statement_of(alice.scid, alice.lines, log, witnesses=witnesses)
