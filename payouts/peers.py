"""Other instances' logs: follow them, hold what they say against what they said, and cosign it."""

import logging
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db import transaction

from payouts import cosigning, forks, instance_keys, log, pins, rotations, witnesses
from payouts.discovery import find_ledger
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.checkpoint import SignedCheckpoint, parse_checkpoint
from payouts.ledger.container import FILE_BYTES_MAX
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import BadTile, Inconsistent, LedgerError, LogNotTrusted, WentBackwards, WrongOrigin
from payouts.ledger.follower import advance, check_tiles, first_pin, proof_between
from payouts.ledger.merkle import HASH_BYTES, check_consistency, check_inclusion, prove_inclusion
from payouts.ledger.note import NOTE_BYTES_MAX, parse_vkey, split_note
from payouts.ledger.rotation import InstanceKeys, keys_of_genesis
from payouts.ledger.tiles import TILE_WIDTH, Bundle, Tile, TreeReader, read_entries
from payouts.ledger.verdict import verify
from payouts.models import PeerClaim, PeerLog, Witness
from server.core import clock, http, limits
from server.core.errors import Invalid, TributaryError

logger = logging.getLogger(__name__)

ENTRY_BUNDLE_BYTES_MAX = TILE_WIDTH * (4096 + 2)
ANSWER_BYTES_MAX = 16 * limits.KIB
OK, NOT_FOUND, CONFLICT = 200, 404, 409


class PeerUnclear(TributaryError):
    """The other instance did not answer as a ledger does."""

    code, status = "peer_unclear", 502


@dataclass(frozen=True)
class HttpTiles:
    """A ``TileReader`` over another instance's published files. What it gives is not trusted."""

    url: str

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile."""
        return self._get(tile.path(), TILE_WIDTH * HASH_BYTES)

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of an entry bundle."""
        return self._get(bundle.path(), ENTRY_BUNDLE_BYTES_MAX)

    def _get(self, path: str, size_bytes_max: int) -> bytes:
        answer = http.get(
            f"{self.url}/{path}", headers={}, size_bytes_max=size_bytes_max, wait_seconds_max=limits.FETCH_SECONDS_MAX
        )
        if answer.status != OK:
            raise BadTile(f"{path}: status {answer.status}")
        return answer.body


def follow_log(*, instance_origin: str) -> PeerLog:
    """Begin to follow the log of the instance at ``https://host``, and take its first checkpoint. Idempotent.

    What is pinned is the genesis: later keys follow from it. Raises Invalid, NoLedger, PeerUnclear, HttpError, LedgerError.
    """
    log.begin_log()
    base = instance_origin.rstrip("/")
    told = find_ledger(base)
    origin, url, vkey = (told[name] for name in ("origin", "url", "vkey"))
    host = urlsplit(base).netloc.lower()
    if origin.partition("/")[0] != host or not url.startswith(f"{base}/") or origin == instance_keys.origin():
        raise Invalid("An instance can only show its own ledger, not another's or ours.")
    known = PeerLog.objects.filter(origin=origin).first()
    if known is not None:
        return refresh(known)
    reader = HttpTiles(url)
    note = _get_note(f"{url}/checkpoint")
    size = parse_checkpoint(split_note(note)[0]).size
    genesis = next(read_entries(reader, 0, 1, size))
    entry = parse_entry(genesis, origin=origin, index=0)
    if keys_of_genesis(entry).ledger != parse_vkey(vkey):
        raise WrongOrigin("the key that is told is not that of the genesis")
    begun = PeerLog(origin=origin, url=url.rstrip("/"), genesis=genesis, root=first_pin(origin).root.hex())
    # Signed by the key of the genesis, or by one that its root made right since.
    signed = rotations.open_newest(begun, note, reader)
    check_inclusion(entry.leaf, 0, size, prove_inclusion(TreeReader(reader, size), 0, size), signed.checkpoint.root)
    peer, _ = PeerLog.objects.get_or_create(origin=origin, defaults={"url": begun.url, "genesis": genesis, "root": begun.root})
    ask_as_witness(peer)
    return refresh(peer)


def ask_as_witness(peer: PeerLog) -> Witness:
    """Pick an instance that we follow as a witness of our own log. Idempotent."""
    base = peer.url.rpartition("/ledger/")[0]
    return witnesses.add(
        vkey=str(keys_of(peer).witness), url=f"{base}/ledger/witness", monitoring_url=f"{base}/ledger/peers", peer=peer
    )


def keys_of(peer: PeerLog) -> InstanceKeys:
    """The keys that the genesis of a peer's log lists."""
    return keys_of_genesis(parse_entry(bytes(peer.genesis)))


def refresh(peer: PeerLog) -> PeerLog:
    """Fetch the newest checkpoint of a peer, prove that it extends what we know, pin and cosign it.

    A log that forked or went backwards keeps its pin; both notes are kept. Raises the reason (WentBackwards, Inconsistent,
    BadTile, HttpError...), which is written on the row too.
    """
    try:
        reader, note = HttpTiles(peer.url), _get_note(f"{peer.url}/checkpoint")
        try:
            signed = rotations.open_newest(peer, note, reader)
            pin = pins.pin_of(peer)
            if signed.checkpoint.size > pin.size:
                check_tiles(reader, signed.checkpoint)
            advance(pin, signed.checkpoint, proof_between(reader, pin.size, max(pin.size, signed.checkpoint.size)))
        except (WentBackwards, Inconsistent):
            pins.keep_both(peer, signed, reader)
            raise
        except BadTile:
            # Signed, and the tiles say something else: somebody else may have been shown the tiles that fit.
            pins.hear(peer, pins.open_note(peer, note).data, source=peer.origin)
            raise
        pins.move(peer, signed)
    except (LedgerError, TributaryError) as error:
        PeerLog.objects.filter(pk=peer.pk).update(error=error.code, seen_at=clock.now())
        raise
    peer.refresh_from_db()
    return peer


def refresh_all() -> None:
    """The chore: look at every peer's log, show ours to those who have not cosigned its head, ask what their auditors found."""
    log.begin_log()
    for peer in PeerLog.objects.filter(forked_at=None).order_by("seen_at", "pk"):
        try:
            refresh(peer)
            for claim in peer.claims.values("scid").distinct():
                _refresh_claim(peer, claim["scid"])
        except (LedgerError, TributaryError) as error:
            logger.warning("peer's ledger refused", extra={"peer": peer.origin, "error": f"{error.code}: {error}"})
    cosigning.push_head()
    cosigning.collect_audits()


def refresh_claims(scid: str) -> list[PeerClaim]:
    """Ask every peer what it owes ``scid``, verify the statements, and keep what they prove. A refusal leaves what was there."""
    for peer in PeerLog.objects.filter(forked_at=None):
        try:
            _refresh_claim(refresh(peer), scid)
        except (LedgerError, TributaryError) as error:
            logger.warning("statement refused", extra={"peer": peer.origin, "error": f"{error.code}: {error}"})
    return list(PeerClaim.objects.filter(scid=scid).select_related("peer"))


def refresh_claim(*, peer: PeerLog, scid: str) -> list[PeerClaim]:
    """As ``refresh_claims`` for one peer, but raises the reason of a refusal."""
    _refresh_claim(refresh(peer), scid)
    return list(peer.claims.filter(scid=scid))


def _refresh_claim(peer: PeerLog, scid: str) -> None:
    url = f"{peer.url}/statement/{scid}"
    answer = http.get(url, headers={}, size_bytes_max=FILE_BYTES_MAX, wait_seconds_max=limits.FETCH_SECONDS_MAX)
    if answer.status == NOT_FOUND:
        return
    if answer.status != OK:
        raise PeerUnclear(f"status {answer.status} for a statement")
    take_statement(peer=peer, scid=scid, data=answer.body)


def take_statement(*, peer: PeerLog, scid: str, data: bytes) -> None:
    """Verify a statement of a peer and keep what it proves. Raises LedgerError with its name; then nothing has changed."""
    forks.check_not_frozen(peer.origin)
    verdict = verify(data, verify_log=verify_identity_log, check_agreement=check_agreement)
    if verdict.scid != scid or [one.origin for one in verdict.debtors] != [peer.origin]:
        raise WrongOrigin(f"a statement for {verdict.scid}")
    (debtor,) = verdict.debtors
    _check_pinned(peer, pins.note_of_statement(peer, data))
    now = clock.now()
    with transaction.atomic():
        for account in debtor.accounts:
            older = PeerClaim.objects.filter(peer=peer, scid=scid, currency=account.currency).first()
            if older is not None and older.as_of_index > debtor.as_of_index:
                raise WentBackwards(f"a statement as of {debtor.as_of_index} after one as of {older.as_of_index}")
            PeerClaim.objects.update_or_create(
                peer=peer,
                scid=scid,
                currency=account.currency,
                defaults={
                    "balance": account.payable, "held": account.held, "unclaimed": account.unclaimed,
                    "as_of_index": debtor.as_of_index, "as_of": datetime.fromisoformat(debtor.as_of),
                    "witnesses": " ".join(one.key.name for one in debtor.witnesses), "statement": data, "checked_at": now,
                },
            )  # fmt: skip


def _check_pinned(peer: PeerLog, signed: SignedCheckpoint) -> None:
    """The tree of the statement is a beginning of the tree that we pinned, signed by the key that we pinned."""
    pin, at = pins.pin_of(peer), signed.checkpoint
    if at.size > pin.size:
        raise LogNotTrusted(f"the statement is of size {at.size}, we know {pin.size}")
    if at.size == pin.size:
        if at.root != pin.root:
            raise Inconsistent(f"two roots at size {pin.size}")
        return
    check_consistency(at.size, at.root, pin.size, pin.root, proof_between(HttpTiles(peer.url), at.size, pin.size))


def _get_note(url: str) -> bytes:
    answer = http.get(url, headers={}, size_bytes_max=NOTE_BYTES_MAX, wait_seconds_max=limits.FETCH_SECONDS_MAX)
    if answer.status != OK:
        raise PeerUnclear(f"{url}: status {answer.status}")
    return answer.body
