"""Copies of our people's logs at other instances: who is to keep them, handing them over, and what the keepers say.

What goes out is harmless when it arrives twice. What comes back is believed by nobody: a receipt counts when the replica's own
key signed it, a log when it verifies, evidence when it proves itself.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import F, Q

from server.core import budget, canonical, clock, facts, hosts, limits
from server.core.errors import NotFound, TributaryError, Unavailable, WrongState
from server.identity import actions, contests, keylog, outbox_heads, queries, receipts, watching
from server.identity.facts import CopyDue, ForkDue, ForkFound, HeadsDue, IdentityChanged
from server.identity.keylog.errors import V15Fork, V15Stale
from server.identity.models import Copy, Fork, Identity, Receipt, Watcher
from server.identity.queries import WATCHER_PATH
from server.identity.watcher_client import Refused, document_of, fetch, post, verified_receipt

logger = logging.getLogger(__name__)

RECEIPTS_BYTES_MAX = 1 * limits.MIB
AGAIN_SECONDS = 3600
REFUSED_AGAIN_SECONDS = 24 * 3600
TENDED_COUNT_MAX = 200
TENDED_SECONDS = 24 * 3600
NAMED_AGAIN = timedelta(days=1)
LOST_AFTER = timedelta(days=7)


# --- who keeps copies ---


def targets(identity: Identity) -> list[Watcher]:
    """Who is to have the log of an identity that lives here.

    Those it names, the chosen ones or else the peers we know, and the homes it had before: they must learn that it left them.
    """
    document = queries.document_of(identity)
    named = [watching.origin_of_replica(endpoint) for endpoint in document.replicas]
    prior = [hosts.origin(name) for name in document.prior if name.startswith(("http://", "https://"))]
    chosen = default_origins()
    wanted = [origin for origin in dict.fromkeys([*named, *chosen, *prior]) if origin != settings.ORIGIN]
    return [watching.know_watcher(origin) for origin in wanted[: limits.GOSSIP_COUNT_MAX]]


def default_origins() -> list[str]:
    """The administrator's list (setting and staff pages); without one the peers we know, those that answered last first."""
    listed = [*settings.REPLICAS, *Watcher.objects.filter(is_chosen=True).order_by("id").values_list("origin", flat=True)]
    if not listed:
        known = Watcher.objects.filter(error="").order_by(F("answered_at").desc(nulls_last=True), "id")
        listed = list(known.values_list("origin", flat=True)[: limits.REPLICAS_COUNT_MAX])
    return list(dict.fromkeys(listed))[: limits.REPLICAS_COUNT_MAX]


def spread(fact: IdentityChanged) -> None:
    """The log of an identity that lives here grew: everyone who keeps a copy is to be told."""
    identity = Identity.objects.filter(scid=fact.scid, is_home=True).first()
    if identity is None:
        return
    for watcher in targets(identity):
        copy, _ = Copy.objects.get_or_create(identity=identity, watcher=watcher)
        facts.record(CopyDue(copy_id=copy.pk))


# --- handing over ---


def send_copy(fact: CopyDue) -> None:
    """Post the log to a replica and keep its receipt. Idempotent. Raises what may be better later."""
    copy = Copy.objects.select_related("identity", "watcher").filter(pk=fact.copy_id).first()
    if copy is None or not copy.identity.is_home or copy.version_id == copy.identity.head_version_id:
        return
    identity, origin = copy.identity, copy.watcher.origin
    Copy.objects.filter(pk=copy.pk).update(tried_at=clock.now())
    try:
        answer = post(origin, f"log?did={quote(identity.did)}", queries.log_bytes(identity), "text/jsonl")
        receipt = keep_receipt(identity, copy.watcher, document_of(answer))
    except TributaryError as error:
        _note(copy, error)
        if not isinstance(error, Refused):
            raise
        if error.reason.startswith("v15"):
            # It holds another branch, or more than we do.
            _look_at(identity, origin)
        return
    Copy.objects.filter(pk=copy.pk).update(version_id=receipt.version_id, receipt_at=receipt.first_seen, error="")
    _answered(copy.watcher)
    if copy.receipt_at is None:
        # A new keeper: the log is to name it, the next time that somebody looks.
        Identity.objects.filter(pk=identity.pk).update(tended_at=None)


def keep_receipt(identity: Identity, watcher: Watcher, document: dict[str, Any]) -> receipts.Receipt:
    """Keep what a replica says it saw. Of two for one number the first stays. Raises ReceiptRefused, NoInstanceKey.

    Kept are receipts for what stands in the log, or in another branch of it that is known.
    """
    receipt = verified_receipt(watcher, document)
    if receipt.scid != identity.scid:
        raise receipts.WrongReplica("the receipt is about another identity")
    number = int(receipt.version_id.partition("-")[0])
    ours = identity.lines.filter(number=number, version_id=receipt.version_id).exists()
    rival = identity.forks.filter(Q(left_id=receipt.version_id) | Q(right_id=receipt.version_id)).exists()
    if not ours and not rival:
        raise receipts.WrongReplica("the receipt is for an entry that is not known here")
    Receipt.objects.get_or_create(
        identity=identity,
        replica=watcher.origin,
        number=number,
        defaults={
            "version_id": receipt.version_id,
            "first_seen": receipt.first_seen,
            "document": canonical.jcs(document),
        },
    )
    if identity.forks.exists():
        contests.judge(identity)
    return receipt


def collect_receipts(identity: Identity, origin: str) -> int:
    """Ask a replica for its own receipts for this log and keep them. Returns how many it has given."""
    watcher = watching.know_watcher(origin)
    body = fetch(f"{origin}{WATCHER_PATH}/receipts?scid={identity.scid}", size_bytes_max=RECEIPTS_BYTES_MAX)
    try:
        listed = canonical.parse(body, depth_max=8, fractions=False)
    except ValueError as error:
        raise Unavailable(f"{origin} shows no receipts: {error}") from error
    own = [one for one in listed if isinstance(one, dict) and one.get("replica") == origin] if isinstance(listed, list) else []
    for document in own[: limits.RECEIPTS_COUNT_MAX]:
        try:
            keep_receipt(identity, watcher, document)
        except receipts.ReceiptRefused as error:
            logger.info("receipt refused", extra={"replica": origin, "error": error.code})
    return len(own)


def _look_at(identity: Identity, origin: str) -> None:
    """Read what a replica holds instead of our log: a longer one is taken, of another branch the evidence is kept."""
    try:
        data = fetch(f"{origin}{WATCHER_PATH}/log?scid={identity.scid}", size_bytes_max=keylog.HARD.bytes_max)
        actions.accept_log(data=data, requested=identity.scid, source=origin)
    except (V15Fork, V15Stale, NotFound) as error:
        logger.info("a replica refused our log", extra={"replica": origin, "scid": identity.scid, "error": error.code})


# --- forks ---


def spread_fork(fact: ForkFound) -> None:
    """New evidence is shown to everybody who may hold the log: its home, its replicas, and the peers we know."""
    fork = Fork.objects.select_related("identity").filter(pk=fact.fork_id).first()
    if fork is None:
        return
    identity = fork.identity
    named = [watching.origin_of_replica(endpoint) for endpoint in queries.document_of(identity).replicas]
    known = [*settings.REPLICAS, *Watcher.objects.order_by("-is_chosen", "id").values_list("origin", flat=True)]
    to = [origin for origin in dict.fromkeys([identity.home_origin, *named, *known]) if origin != settings.ORIGIN]
    for origin in to[: limits.GOSSIP_COUNT_MAX]:
        facts.record(ForkDue(fork_id=fork.pk, origin=origin))


def send_fork(fact: ForkDue) -> None:
    """Show the evidence to one instance. Who does not keep the log, or knows the fork, changes nothing."""
    fork = Fork.objects.filter(pk=fact.fork_id).first()
    if fork is not None:
        try:
            post(fact.origin, "fork", bytes(fork.evidence), "application/json")
        except Refused as error:
            logger.info("evidence not taken", extra={"origin": fact.origin, "error": str(error)[:200]})


# --- outbox heads ---


def send_heads(fact: HeadsDue) -> None:
    """Post the heads that a replica lacks, the oldest first. Idempotent. Raises what may be better later."""
    copy = Copy.objects.select_related("identity", "watcher").filter(pk=fact.copy_id).first()
    if copy is None or not copy.identity.is_home:
        return
    scid, origin = copy.identity.scid, copy.watcher.origin
    lacking = outbox_heads.heads_after(scid, copy.head_seq, count_max=limits.HEADS_PER_POST_MAX)
    if not lacking:
        return
    body = b'{"heads":' + watching.as_json_list(lacking) + b"}"
    try:
        answer = document_of(post(origin, f"heads?scid={scid}", body, "application/json"))
    except TributaryError as error:
        _note(copy, error)
        if isinstance(error, Refused):
            return
        raise
    seq = answer.get("seq")
    if type(seq) is int and 0 <= seq <= canonical.JSON_INTEGER_MAX:
        Copy.objects.filter(pk=copy.pk).update(head_seq=seq)


def due_heads() -> int:
    """The chore: whoever keeps a copy gets the new heads, at most every ten minutes for each person. Returns how many are due."""
    before = clock.now() - timedelta(seconds=limits.HEADS_SECONDS_MIN)
    ready = Copy.objects.filter(identity__is_home=True, receipt_at__isnull=False).filter(
        Q(heads_at=None) | Q(heads_at__lte=before)
    )
    behind = ready.filter(identity__outbox_heads__seq__gt=F("head_seq")).distinct().order_by("id")[:TENDED_COUNT_MAX]
    for copy in behind:
        Copy.objects.filter(pk=copy.pk).update(heads_at=clock.now())
        facts.record(HeadsDue(copy_id=copy.pk))
    return len(behind)


def pull_heads(identity: Identity) -> int:
    """Ask the home for the heads that we lack, at most every ten minutes. Returns the newest number that is kept."""
    scid = identity.scid
    newest = outbox_heads.newest_seq(scid)
    if identity.is_home or not budget.once(f"heads:{scid}", limits.HEADS_SECONDS_MIN):
        return newest
    url = f"{identity.home_origin}{WATCHER_PATH}/heads?scid={scid}&after={newest}"
    found = watching.read_documents(
        fetch(url, size_bytes_max=limits.HEADS_BYTES_MAX), name="heads", count_max=limits.HEADS_PER_POST_MAX
    )
    return outbox_heads.accept_heads(found, scid=scid)


# --- looking after them ---


def tend() -> int:
    """The chore: copies that lag behind are sent again, and logs come to name who keeps one. Returns how many were looked at.

    An identity is looked after once a day, and when a replica gave its first receipt.
    """
    moment = clock.now()
    lagging = Copy.objects.filter(identity__is_home=True, tried_at__lte=moment - timedelta(seconds=AGAIN_SECONDS))
    lagging = lagging.exclude(version_id=F("identity__head_version_id")).order_by("tried_at")
    refused = Q(error__startswith=Refused.code, tried_at__gt=moment - timedelta(seconds=REFUSED_AGAIN_SECONDS))
    for copy in lagging.exclude(refused)[:TENDED_COUNT_MAX]:
        facts.record(CopyDue(copy_id=copy.pk))
    due = Q(tended_at=None) | Q(tended_at__lte=moment - timedelta(seconds=TENDED_SECONDS))
    found = list(Identity.objects.filter(due, is_home=True).order_by(F("tended_at").asc(nulls_first=True))[:TENDED_COUNT_MAX])
    for identity in found:
        Identity.objects.filter(pk=identity.pk).update(tended_at=moment)
        _tend(identity)
    return len(found)


def _tend(identity: Identity) -> None:
    for watcher in targets(identity):
        copy, is_new = Copy.objects.get_or_create(identity=identity, watcher=watcher)
        if is_new:
            facts.record(CopyDue(copy_id=copy.pk))
    try:
        name_keepers(identity)
    except (WrongState, keylog.KeyLogError) as error:
        # The owner holds the keys: her own tool names the replicas.
        logger.info("replicas not named", extra={"scid": identity.scid, "error": error.code})


def name_keepers(identity: Identity) -> bool:
    """Let the log say who keeps a copy, where that changed and the keys are held here. Returns whether it was written.

    Named is who has given a receipt and answered within a week; at most one change a day, but the first is made at once.
    """
    named = [watching.origin_of_replica(endpoint) for endpoint in queries.document_of(identity).replicas]
    keepers = _keepers(identity, named)
    newest = identity.lines.order_by("-number").first()
    if set(keepers) == set(named) or not keepers or newest is None:
        return False
    if named and newest.received_at > clock.now() - NAMED_AGAIN:
        return False
    actions.name_replicas(identity=identity, origins=keepers)
    return True


def _keepers(identity: Identity, named: Iterable[str]) -> list[str]:
    """Those that hold a copy, the named ones first so that names do not change without need; each on a host of its own."""
    held = identity.copies.filter(receipt_at__isnull=False).select_related("watcher").order_by("id")
    alive = [copy.watcher for copy in held if not copy.error or _answered_lately(copy.watcher)]
    alive.sort(key=lambda watcher: (watcher.origin not in named, not watcher.is_chosen))
    return list(dict.fromkeys(watcher.origin for watcher in alive))[: limits.REPLICAS_COUNT_MAX]


def _answered_lately(watcher: Watcher) -> bool:
    return watcher.answered_at is not None and watcher.answered_at > clock.now() - LOST_AFTER


def _answered(watcher: Watcher) -> None:
    Watcher.objects.filter(pk=watcher.pk).update(answered_at=clock.now(), error="")


def _note(copy: Copy, error: TributaryError) -> None:
    # A stranger's bytes may be quoted in it, and PostgreSQL keeps no NUL.
    said = f"{error.code}: {error}".replace("\x00", "")[:300]
    Copy.objects.filter(pk=copy.pk).update(error=said)
    if not isinstance(error, Refused):
        Watcher.objects.filter(pk=copy.watcher_id).update(error=said)
