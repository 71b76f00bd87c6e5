"""A small economy with fixed keys and times: two instances, three people, one sponsor. For tests and for the golden vectors."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from nacl.signing import SigningKey

from payouts import agreement, offers, splits
from payouts.algorithms import find
from payouts.ledger import canonical, ed25519
from payouts.ledger.accounts_root import AccountsTree, tree_of_heads
from payouts.ledger.chain import START, AccountKey, Head
from payouts.ledger.checkpoint import Checkpoint, SignedCheckpoint, cosign, open_checkpoint, sign_checkpoint
from payouts.ledger.entries import Draft, Entry, write_batch
from payouts.ledger.errors import BadTile
from payouts.ledger.growth import EMPTY, Edge, grow
from payouts.ledger.multikey import multikey
from payouts.ledger.note import COSIGNATURE, ED25519, Signer, VerifierKey, add_signatures
from payouts.ledger.statement import assemble, debtor_part
from payouts.ledger.steps import payout_id
from payouts.ledger.tiles import Bundle, Tile, TreeReader
from server.identity import keylog

CURRENCY = "EUR"
PERIOD = "2026-11"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
UNIT = 1_000_000


def seed(name: str) -> bytes:
    """A private key that anyone can compute: never used for anything real."""
    return sha256(f"tributary golden vector: {name}".encode()).digest()


def digest(name: str) -> str:
    """The hash of a piece of evidence."""
    return sha256(name.encode()).hexdigest()


def draft_id(*names: object) -> str:
    """An idempotency key."""
    return digest(" ".join(map(str, names)))[:32]


class MemoryTiles:
    """A TileReader over a dict of files."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def tile(self, tile: Tile) -> bytes:
        return self._get(tile.path())

    def bundle(self, bundle: Bundle) -> bytes:
        return self._get(bundle.path())

    def _get(self, path: str) -> bytes:
        if path not in self.files:
            raise BadTile(path)
        return self.files[path]


class Instance:
    """The keys of a host, and the entry that lists them."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.origin = f"{host}/ledger/1"
        self.actor = f"https://{host}/actor"
        self.root_seed = seed(f"{host} root")
        self.instance_key = SigningKey(seed(f"{host} instance-1"))
        self.ledger = Signer(self.origin, ED25519, seed(self.origin))
        self.witness = Signer(f"{host}/witness/1", COSIGNATURE, seed(f"{host} witness"))
        self.auditor = Signer(f"{host}/auditor/1", COSIGNATURE, seed(f"{host} auditor"))
        self.mirror = Signer(f"{host}/mirror/1", COSIGNATURE, seed(f"{host} mirror"))

    def genesis(self) -> Draft:
        """The first entry of the host's log."""
        body = {
            "root": multikey(ed25519.public_of(self.root_seed), "ed25519"),
            "ledger": str(self.ledger.verifier),
            "witness": str(self.witness.verifier),
            "auditor": str(self.auditor.verifier),
            "mirror": str(self.mirror.verifier),
            "instance": multikey(bytes(self.instance_key.verify_key), "ed25519"),
            "box": multikey(bytes(SigningKey(seed(f"{self.host} box")).verify_key.to_curve25519_public_key()), "x25519"),
            "actor": self.actor,
            "currencies": ["EUR/6", "USD/6"],
            "calendar": "UTC",
            "rounding": "largest-remainder/1",
            "retention": "forever",
        }
        return Draft("genesis", draft_id(self.host, "genesis"), body, {})


class Person:
    """A person with an identity log of one entry, made by her home server."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.user_key = SigningKey(seed(f"{name} user"))
        home = keylog.Home(
            host=host,
            path=("u", name),
            actor=f"https://{host}/users/{name}",
            acct=f"acct:{name}@{host}",
            key=keylog.multikey_of(SigningKey(seed(f"{name} home"))),
        )
        document = keylog.first_document(home, user_key=keylog.multikey_of(self.user_key), custody="server")
        self.log = keylog.genesis(
            document=document,
            key=SigningKey(seed(f"{name} update 1")),
            next_keys=[keylog.key_hash(keylog.multikey_of(SigningKey(seed(f"{name} update 2"))))],
            now=NOW,
        )
        self.scid = self.log.scid
        self.lines = tuple(self.log.data.splitlines())
        self.method = f"{self.log.did.text}?versionId={self.log.version_ids[-1]}#user-1"


alpha, beta = Instance("alpha.example"), Instance("beta.example")
outside = Signer("witness.example/w1", COSIGNATURE, seed("outside witness"))


@cache
def person(name: str) -> Person:
    """Alice lives on alpha, bob on beta, charlie nowhere that matters."""
    return Person(name, {"bob": "beta.example"}.get(name, "alpha.example"))


@cache
def offer(host: str) -> agreement.Agreement:
    """The default offer of an instance, signed by it."""
    instance = {"alpha.example": alpha, "beta.example": beta}[host]
    document = offers.default_offer(instance.origin, created="2026-10-01T00:00:00Z", effective_from="2026-11-01T00:00:00Z")
    signed = offers.sign(document, key=instance.instance_key, verification_method=f"{instance.actor}#instance-1", created=NOW)
    return agreement.parse_agreement(canonical.encode(signed))


@cache
def accepted(name: str, host: str = "alpha.example") -> agreement.Agreement:
    """The offer of an instance, accepted by a person for her channel."""
    instance = {"alpha.example": alpha, "beta.example": beta}[host]
    someone = person(name)
    document = offers.channel_agreement(
        offer(host), scid=someone.scid, custody="server", created="2026-11-01T12:00:00Z", effective_from="2026-11-01T12:00:00Z"
    )
    document = offers.sign(document, key=someone.user_key, verification_method=someone.method, created=NOW)
    document = offers.sign(document, key=instance.instance_key, verification_method=f"{instance.actor}#instance-1", created=NOW)
    return agreement.parse_agreement(canonical.encode(document))


class Log:
    """A pen without a disk: entries, tiles and account heads of one instance in memory."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.edge: Edge = EMPTY
        self.files: dict[str, bytes] = {}
        self.entries: list[Entry] = []
        self.heads: dict[AccountKey, Head] = {}
        self.accounts: AccountsTree | None = None
        self.agreements: dict[str, agreement.Agreement] = {}
        self.signer = instance.ledger
        self.append("2026-11-01T12:00:00Z", instance.genesis())

    def append(self, at: str, *drafts: Draft) -> list[Entry]:
        """Write a batch."""
        batch = write_batch(drafts, origin=self.instance.origin, first_index=len(self.entries), at=at, heads=self.heads)
        growth = grow(self.edge, [entry.data for entry in batch.entries])
        self.edge = growth.edge
        self.files.update(growth.files)
        self.entries += batch.entries
        self.heads.update(batch.heads)
        return list(batch.entries)

    def agree(self, at: str, *agreements: agreement.Agreement) -> None:
        """Announce agreements."""
        for one in agreements:
            self.agreements[one.id] = one
            body = {
                "agreement": one.id,
                "blob": sha256(one.data).hexdigest(),
                "kind": one.kind,
                "prev": one.document["prev"],
                "effective_from": one.effective_from,
            }
            self.append(at, Draft("agreement", draft_id(one.id), body, {}))

    def fund(self, at: str, amount: int, currency: str = CURRENCY) -> None:
        """A sponsor pays in, and uses all of it in the period."""
        revenue = {
            "source": "bank", "currency": currency, "gross": str(amount), "fee": "0", "net": str(amount),
            "reference": "invoice 7", "evidence": digest("bank statement"),
        }  # fmt: skip
        charge = {
            "period": PERIOD, "campaign": "spring", "currency": currency, "impressions": 1000, "price_per_thousand": str(amount),
            "amount": str(amount), "evidence": digest("meter"),
        }  # fmt: skip
        advertiser, pool = f"L:advertiser:acme#{currency}/6", f"L:pool:ads:{PERIOD}#{currency}/6"
        self.append(
            at,
            Draft(
                "revenue", draft_id("revenue", at, currency), revenue, {f"A:cash:bank#{currency}/6": amount, advertiser: -amount}
            ),
            Draft("charge", draft_id("charge", at, currency), charge, {advertiser: amount, pool: -amount}),
        )

    def close(
        self, at: str, amount: int, works: Sequence[tuple[str, str, int]], currency: str = CURRENCY, period: str = PERIOD
    ) -> splits.PeriodShares:
        """Share an amount over works: (creator's SCID, agreement id, impressions)."""
        inputs = {
            "period": period, "currency": currency, "pool": "ads",
            "campaigns": [{"campaign": "spring", "amount": str(amount)}],
            "impressions": [
                {"campaign": "spring", "work": f"work-{number}", "table": "contextual", "count": count}
                for number, (_, _, count) in enumerate(works)
            ],
            "works": [
                {"work": f"work-{number}", "creator": scid, "agreement": terms, "weight_ms": count * 1000}
                for number, (scid, terms, count) in enumerate(works)
            ],
            "agreements": {one.id: splits.settlement_agreement(one) for one in self.agreements.values()},
            "operating_cost": "5000000", "carry": "0",
        }  # fmt: skip
        shares = splits.share_period(inputs, find("ad-impression/1"))
        drafts = splits.close_drafts(
            shares, first_index=len(self.entries), entries=[1, 2], make_id=lambda name: draft_id("close", period, currency, name)
        )
        self.append(at, *drafts)
        return shares

    def hold(self, at: str, scid: str, amount: int, until: str = "2026-12-01T09:00:06Z") -> Entry:
        """Keep a part back."""
        body = {
            "scid": scid, "currency": CURRENCY, "amount": str(amount), "reason": "card.reserve",
            "evidence": digest("rule"), "until": until,
        }  # fmt: skip
        return self._move("hold", at, body, {f"L:payee:{scid}#EUR/6": amount, f"L:hold:{scid}#EUR/6": -amount})

    def release(self, at: str, scid: str, amount: int, hold: int) -> Entry:
        """Give it free again."""
        body = {
            "scid": scid, "currency": CURRENCY, "amount": str(amount), "reason": "time", "evidence": digest("rule"), "hold": hold,
        }  # fmt: skip
        return self._move("release", at, body, {f"L:payee:{scid}#EUR/6": -amount, f"L:hold:{scid}#EUR/6": amount})

    def payout(self, at: str, scid: str, amount: int, *steps: str) -> str:
        """Pay a part out: ``intent`` and what follows."""
        head = self.heads.get((scid, CURRENCY), START)
        number = payout_id(self.instance.origin, scid, CURRENCY, head.seq)
        common = {"payout": number, "scid": scid, "currency": CURRENCY, "amount": str(amount), "rail": "sepa"}
        transit = "L:transit:sepa#EUR/6"
        bodies: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
            "intent": ({"route": digest("route"), "seq_hi": head.seq}, {f"L:payee:{scid}#EUR/6": amount, transit: -amount}),
            "sent": ({"evidence": digest("file")}, {}),
            "settled": ({"evidence": digest("bank")}, {transit: amount, "A:cash:sepa#EUR/6": -amount}),
            "failed": ({"reason": "account.closed"}, {transit: amount, f"L:payee:{scid}#EUR/6": -amount}),
        }
        for step in steps:
            body, postings = bodies[step]
            self._move(f"payout.{step}", at, {**common, **body}, postings)
        return number

    def commit_accounts(self, at: str) -> Entry:
        """Write the accounts root of now."""
        self.accounts = tree_of_heads(self.heads.items())
        return self._move("accounts.root", at, self.accounts.body(), {})

    def _move(self, type_name: str, at: str, body: dict[str, Any], postings: dict[str, int]) -> Entry:
        return self.append(at, Draft(type_name, draft_id(type_name, at, len(self.entries)), body, postings))[0]

    @property
    def tiles(self) -> MemoryTiles:
        """The published files."""
        return MemoryTiles(self.files)

    def nodes(self) -> TreeReader:
        """The tree."""
        return TreeReader(self.tiles, self.edge.size)

    def checkpoint(self, witnesses: Iterable[tuple[Signer, int]] = ()) -> SignedCheckpoint:
        """The head, signed by the log and cosigned."""
        head = Checkpoint(self.instance.origin, self.edge.size, self.edge.root())
        cosigners = [signer for signer, _ in witnesses]
        note = add_signatures(sign_checkpoint(head, self.signer), [cosign(head, signer, at) for signer, at in witnesses])
        return open_checkpoint(
            note, origin=self.instance.origin, log_keys=[self.signer.verifier], cosigners=[one.verifier for one in cosigners]
        )

    def part(self, scid: str, signed: SignedCheckpoint, **changes: Any) -> dict[str, Any]:
        """What this debtor shows to an identity."""
        assert self.accounts is not None
        root = max(entry.index for entry in self.entries if entry.type == "accounts.root")
        own = [entry for entry in self.entries if any(link.scid == scid for link in entry.links)]
        rotations = [entry for entry in self.entries if entry.type == "key.rotate"]
        used = {one for entry in own if entry.type == "accrue" for one in entry.body["agreements"]}
        used |= {entry.body["agreement"] for entry in own if entry.type == "claim"}
        given: dict[str, Any] = {
            "signed": signed,
            "genesis": self.entries[0].data,
            "entries": {entry.index: entry.data for entry in [*own, *rotations, self.entries[root]]},
            "agreements": [self.agreements[one].data for one in sorted(used)],
            "run": self.accounts.run(scid),
            "nodes": self.nodes(),
        }
        return debtor_part(**{**given, **changes})


WITNESSED_AT = int(datetime(2026, 12, 1, 10, 0, 30, tzinfo=UTC).timestamp())


@cache
def alpha_log() -> Log:
    """A month on alpha: money comes in, is shared, held, released and paid; alice signed, bob and charlie did not."""
    log = Log(alpha)
    alice, bob, charlie = (person(name).scid for name in ("alice", "bob", "charlie"))
    terms, own = offer("alpha.example"), accepted("alice")
    log.agree("2026-11-01T12:00:01Z", terms, own)
    log.fund("2026-11-02T09:00:00Z", 100 * UNIT)
    log.close(
        "2026-12-01T09:00:00Z", 100 * UNIT, [(alice, own.id, 37), (bob, terms.id, 20), (charlie, terms.id, 5), ("", terms.id, 3)]
    )
    held = log.hold("2026-12-01T09:00:05Z", alice, 7 * UNIT)
    log.release("2026-12-01T09:00:06Z", alice, 2 * UNIT, held.index)
    log.payout("2026-12-01T09:00:10Z", alice, 10 * UNIT, "intent", "sent", "settled")
    log.payout("2026-12-01T09:00:20Z", alice, 5 * UNIT, "intent", "failed")
    log.payout("2026-12-01T09:00:30Z", alice, 3 * UNIT, "intent")
    log.fund("2026-12-01T09:01:00Z", 8 * UNIT, "USD")
    log.close("2026-12-01T09:02:00Z", 8 * UNIT, [(alice, own.id, 1), (bob, terms.id, 1)], "USD")
    log.commit_accounts("2026-12-01T10:00:00Z")
    return log


@cache
def beta_log() -> Log:
    """A month on beta, where alice has not signed."""
    log = Log(beta)
    terms = offer("beta.example")
    log.agree("2026-11-01T12:00:01Z", terms)
    log.fund("2026-11-02T09:00:00Z", 2 * UNIT)
    log.close("2026-12-01T09:00:00Z", 2 * UNIT, [(person("alice").scid, terms.id, 1)])
    log.commit_accounts("2026-12-01T10:00:00Z")
    return log


def logs_keys(*logs: Log) -> list[VerifierKey]:
    """The ledger keys of logs."""
    return [log.signer.verifier for log in logs]


def statement_of(scid: str, identity: Sequence[bytes], *logs: Log, witnesses: Iterable[tuple[Signer, int]] = ()) -> bytes:
    """The statement of an identity about these debtors, all cosigned by the same witnesses."""
    signed = [log.checkpoint(list(witnesses)) for log in logs]
    parts = [log.part(scid, one) for log, one in zip(logs, signed, strict=True)]
    return assemble(scid=scid, identity=identity, parts=parts, logs=logs_keys(*logs), signed=signed)


@cache
def alices_statement() -> bytes:
    """Alice's statement about alpha and beta, each witnessed by the other and by an outsider."""
    alice = person("alice")
    signers = [(alpha.witness, WITNESSED_AT), (beta.witness, WITNESSED_AT + 1), (outside, WITNESSED_AT + 2)]
    return statement_of(alice.scid, alice.lines, alpha_log(), beta_log(), witnesses=signers)
