"""Disputes: what another log did wrong, in a document that anyone re-checks, signed, published, and named in our own log."""

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from payouts import agreements, instance_keys, log, pins, store
from payouts.admission import rule_of
from payouts.dispute_document import TYPE
from payouts.ledger import canonical
from payouts.ledger.entries import Draft
from payouts.ledger.errors import LedgerError
from payouts.ledger.fields import VERSION, to_base64
from payouts.ledger.merkle import prove_inclusion
from payouts.ledger.tiles import TreeReader, read_entries
from payouts.mirror_files import MirrorFiles
from payouts.models import Dispute, PeerMirror
from server.core import clock, proofs
from server.core.errors import NotFound, TributaryError

TEXT_CHARACTERS_MAX = 300


def raise_dispute(mirror: PeerMirror, *, index: int, error: LedgerError, finding: Mapping[str, Any] | None = None) -> Dispute:
    """Say publicly that the entry at ``index`` of a mirrored log broke a rule. Idempotent for the entry and the rule.

    Raises BadTile when our copy does not hold the entry, and the errors of the pen.
    """
    peer, rule = mirror.peer, rule_of(error)
    known = Dispute.objects.filter(origin=peer.origin, index=index, rule=rule).first()
    if known is not None:
        return known
    document = _sign(_describe(mirror, index, rule, str(error), finding or {}))
    data = canonical.encode(document)
    with transaction.atomic():
        digest = store.put_blob(data, public=True)
        body = {"origin": peer.origin, "size": document["size"], "index": index, "rule": rule, "evidence": digest}
        # A dispute that was logged before a crash stands: its evidence counts, not that of the second try.
        (entry,) = log.append_batch(lambda _: [Draft(TYPE, log.make_id(TYPE, peer.origin, index, rule), body, {})])
        dispute, _ = Dispute.objects.get_or_create(
            digest=entry.body["evidence"],
            defaults={
                "origin": peer.origin, "size": entry.body["size"], "index": index, "rule": rule,
                "document": store.read_blob(entry.body["evidence"], public=True), "entry_id": entry.index,
                "raised_at": clock.now(),
            },
        )  # fmt: skip
    return dispute


def document_of(digest: str) -> bytes:
    """A dispute of ours. Raises NotFound."""
    found = Dispute.objects.filter(digest=digest).first()
    if found is None:
        raise NotFound("There is no such dispute here.")
    return bytes(found.document)


def key_of_person(method: str) -> bytes | None:
    """The key that a verification method of a person names, when her identity log is known here."""
    scid = method.removeprefix("did:webvh:").partition(":")[0]
    try:
        return agreements.member(scid).keys.get(method)
    except TributaryError:
        return None


def _describe(mirror: PeerMirror, index: int, rule: str, text: str, finding: Mapping[str, Any]) -> dict[str, Any]:
    signed = pins.plain(mirror.peer, pins.open_note(mirror.peer, bytes(mirror.checkpoint)))
    size, files = signed.checkpoint.size, MirrorFiles(mirror)
    nodes = TreeReader(files, size)
    return {
        "v": VERSION,
        "type": TYPE,
        "by": instance_keys.origin(),
        "origin": mirror.peer.origin,
        "size": size,
        "index": index,
        "rule": rule,
        # What the log wrote may be quoted here, and may be anything.
        "text": re.sub(r"[^ -~]", "?", text)[:TEXT_CHARACTERS_MAX],
        "created": clock.iso(clock.now()),
        "checkpoint": signed.data.decode(),
        "entry": to_base64(next(read_entries(files, index, index + 1, size))),
        "inclusion": [to_base64(node) for node in prove_inclusion(nodes, index, size)],
        "finding": dict(finding),
    }


def _sign(document: dict[str, Any]) -> dict[str, Any]:
    proof = proofs.create_proof(
        document, key=instance_keys.instance_signing_key(), verification_method=instance_keys.instance_method(),
        created=clock.now(),
    )  # fmt: skip
    return {**document, "proof": proof}
