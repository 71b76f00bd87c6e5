"""Outbox heads as they are kept: what a home says came next, and when that first reached us (docs/reference/outbox-head.md).

The home of an identity takes its own heads by the same door as a replica does: then it holds them to the same rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from nacl.signing import SigningKey

from server.core import canonical, clock, limits
from server.core.errors import NotFound
from server.identity import keylog, queries
from server.identity.models import Identity, OutboxHead


def say(identity: Identity, *, document: Mapping[str, Any], key: SigningKey) -> OutboxHead:
    """Say as the home of ``identity``, whose home key ``key`` is, that ``document`` came next. Raises WrongHeadKey."""
    head = keylog.make_head(
        queries.known_log(identity),
        previous=newest_head(identity.scid),
        document=document,
        key=key,
        now=clock.now(),
    )
    return accept_head(head)


@transaction.atomic
def accept_head(document: Mapping[str, Any]) -> OutboxHead:
    """Keep one head, seen now; one that is here already changes nothing.

    Raises NotFound for an identity that is not kept here, HeadRefused by the name of its rule (head_gap: ask for those between).
    """
    scid = document.get("scid")
    identity = Identity.objects.select_for_update().filter(scid=scid).first() if isinstance(scid, str) else None
    if identity is None:
        raise NotFound("This identity is not known here.")
    return _accept(identity, queries.log_of(identity), document)


def accept_heads(documents: Sequence[Mapping[str, Any]], *, scid: str) -> int:
    """Keep heads of one identity in the order given, until one is refused. Returns the newest ``seq`` that is kept.

    Raises as ``accept_head`` for the first that is refused; those before it stay.
    """
    for document in documents:
        if document.get("scid") != scid:
            raise NotFound("These heads are of several identities.")
        accept_head(document)
    return newest_seq(scid)


def newest_seq(scid: str) -> int:
    """The number of the newest head that is kept; 0 when there is none."""
    newest = OutboxHead.objects.filter(identity_id=scid).order_by("-seq").first()
    return newest.seq if newest is not None else 0


def newest_head(scid: str) -> Mapping[str, Any] | None:
    """The document of the newest head, for ``keylog.make_head``; None before the first.

    Of two with one number, which a change of homes can leave, the one by the later key counts.
    """
    newest = OutboxHead.objects.filter(identity_id=scid).order_by("-number", "-seq").first()
    return None if newest is None else canonical.parse(bytes(newest.document), depth_max=8, fractions=False)


def heads_after(scid: str, seq: int, *, count_max: int) -> list[bytes]:
    """The heads after ``seq``, oldest first: canonical bytes of each."""
    rows = OutboxHead.objects.filter(identity_id=scid, seq__gt=seq).order_by("seq", "id")
    return [bytes(one) for one in rows.values_list("document", flat=True)[:count_max]]


def all_heads(scid: str) -> Iterator[bytes]:
    """Every head that is kept, oldest first: canonical bytes of each."""
    rows = OutboxHead.objects.filter(identity_id=scid).order_by("seq", "id")
    yield from map(bytes, rows.values_list("document", flat=True).iterator(limits.HEADS_PER_POST_MAX))


def _accept(identity: Identity, log: keylog.PolicyLog, document: Mapping[str, Any]) -> OutboxHead:
    now = clock.now()
    digest = keylog.digest_of(document)
    known = OutboxHead.objects.filter(identity=identity, digest=digest).first()
    if known is not None:
        return known
    head = keylog.verify_head(document, log=log, now=now)
    # What the rules of a chain ask about: the head before, those of this number or a higher one, and whether there are any.
    mine = OutboxHead.objects.filter(identity=identity).defer("document")
    near = list(mine.filter(Q(digest=head.prev) | Q(seq__gte=head.seq))) or list(mine.order_by("-seq")[:1])
    keylog.extend_heads([queries.seen_head(row) for row in near], head, seen_at=now)
    return OutboxHead.objects.create(
        identity=identity,
        seq=head.seq,
        digest=head.digest,
        prev=head.prev,
        object=head.object,
        number=head.number,
        created=head.created,
        seen_at=now,
        document=canonical.jcs(document),
    )
