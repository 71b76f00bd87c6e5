"""A month on the neighbour's instance, in which somebody from here was watched."""

from payouts import agreement, offers
from payouts.ledger import canonical
from tests.payouts.ledger_world import NOW, UNIT
from tests.payouts.neighbour import Neighbour


def play_month(neighbour: Neighbour, scid: str) -> None:
    """Two units come in; the creator has not signed there."""
    instance, log = neighbour.instance, neighbour.log
    document = offers.default_offer(instance.origin, created="2026-10-01T00:00:00Z", effective_from="2026-11-01T00:00:00Z")
    method = f"{instance.actor}#instance-1"
    signed = offers.sign(document, key=instance.instance_key, verification_method=method, created=NOW)
    neighbour.offer = canonical.encode(signed)
    terms = agreement.parse_agreement(canonical.encode(signed))
    log.agree("2026-11-01T12:00:01Z", terms)
    log.fund("2026-11-02T09:00:00Z", 2 * UNIT)
    log.close("2026-11-20T09:00:00Z", 2 * UNIT, [(scid, terms.id, 1)])
    log.commit_accounts("2026-11-20T10:00:00Z")
