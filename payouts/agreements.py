"""The terms: the offer that this instance publishes, and who signed it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from nacl.signing import SigningKey

from payouts import accounts_root, agreement, instance_keys, log, offers, store
from payouts.agreement import Agreement as Terms
from payouts.ledger import canonical
from payouts.ledger.entries import Draft
from payouts.ledger.errors import LedgerError
from payouts.ledger.money import PAYABLE, UNCLAIMED, account, format_amount
from payouts.ledger.multikey import multikey_bytes
from payouts.models import Acceptance, AccountHead, Agreement
from server.core import clock
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.identity import keylog, resolver
from server.identity import queries as identities
from server.identity.models import Identity

DEFAULT, CHANNEL = "default", "channel"
# How far the clock of another home may be ahead of ours.
CLOCK_SECONDS_MAX = 300
# A key log looked at less long ago is not asked for again because of a stranger's knock.
LOG_AGE_SECONDS_MAX = 60


@dataclass(frozen=True)
class Member:
    """An identity that may sign: its keys by verification method, and what a proof of its newest version names."""

    scid: str
    custody: str
    method: str
    keys: dict[str, bytes]

    @property
    def present_keys(self) -> dict[str, bytes]:
        """What may still sign: a ``#user`` key that was replaced (an old home may have kept it) signs nothing new."""
        return {method: key for method, key in self.keys.items() if key == self.keys[self.method]}


@transaction.atomic
def default_offer() -> Agreement:
    """The offer in force, published and logged on first use."""
    found = published_offer()
    if found is not None:
        return found
    now = clock.now().replace(microsecond=0)
    document = offers.default_offer(instance_keys.origin(), created=clock.iso(now), effective_from=clock.iso(now))
    return _publish(agreement.parse_agreement(canonical.encode(_signed_by_instance(document))))


def published_offer() -> Agreement | None:
    """The offer in force, if one was ever published. Reads only."""
    return Agreement.objects.filter(kind=DEFAULT, effective_from__lte=clock.now()).order_by("-effective_from").first()


def is_accepted(scid: str) -> bool:
    """Has this identity signed, so that what it earns is payable?"""
    return Acceptance.objects.filter(scid=scid).exists()


def terms_of(row: Agreement) -> Terms:
    """The agreement as it was signed."""
    return agreement.parse_agreement(bytes(row.document))


def in_force(scid: str) -> Agreement:
    """The terms under which a work of this creator earns now: what she signed last, or the default offer."""
    own = Agreement.objects.filter(kind=CHANNEL, scope=scid, effective_from__lte=clock.now())
    return (own.order_by("-effective_from", "-entry_id").first() if scid else None) or default_offer()


def prepare_acceptance(*, scid: str, offer_id: str = "") -> dict[str, Any]:
    """What ``scid`` must sign (``offers.sign`` with her ``#user`` key) to accept the default offer for her channel.

    ``offer_id``: the terms that she was shown; others are not prepared (Conflict).
    """
    if offer_id and offer_id != default_offer().id:
        raise Conflict("The terms have changed since you read them. Read them again before you sign.")
    now = clock.iso(clock.now())
    return offers.channel_agreement(
        terms_of(default_offer()), scid=scid, custody=member(scid).custody, created=now, effective_from=now
    )  # fmt: skip


def accept_default(*, scid: str, key: SigningKey | None = None, offer_id: str = "") -> Acceptance:
    """Sign the default offer for ``scid`` and take it. ``key``: her ``#user`` key; without it the one in our custody.

    ``offer_id``: the terms that she was shown; others are not signed (Conflict). Idempotent. Raises NotFound for an unknown
    identity, WrongState when its key is not held here, and as ``accept``.
    """
    if offer_id and offer_id != default_offer().id:
        raise Conflict("The terms have changed since you read them. Read them again before you sign.")
    known = Acceptance.objects.filter(scid=scid).order_by("-id").first()
    if known is not None:
        return known
    signer = key or custody_key(scid)
    document = offers.sign(
        prepare_acceptance(scid=scid), key=signer, verification_method=member(scid).method, created=clock.now()
    )  # fmt: skip
    return accept(data=canonical.encode(document))


def accept_signed(*, scid: str, data: bytes) -> Acceptance:
    """Take what ``scid`` signed herself over the default offer (``prepare_acceptance``). Raises as ``accept``."""
    try:
        signed_by = agreement.parse_agreement(data).scope
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    if signed_by != scid:
        raise NotAllowed("This agreement is somebody else's.")
    return accept(data=data)


def custody_key(scid: str) -> SigningKey:
    """The ``#user`` key of ``scid`` that is held here. Raises WrongState, with what to do, when she holds it herself."""
    identity = identities.by_scid(scid)
    if identity.custody == "owner":
        raise WrongState("You hold your key yourself: sign in the browser that has it, or with your recovery kit.")
    return identities.custody_key(identity, "user")


def accept_from_elsewhere(*, data: bytes) -> Acceptance:
    """Take what a creator signed at another home (``accept``). Only who is owed something here may: anybody can knock.

    Her key log is asked for anew when it may have grown since we saw it. Raises NotFound, and as ``accept``.
    """
    try:
        scid = agreement.parse_agreement(data).scope
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    if not AccountHead.objects.filter(scid=scid).exists():
        raise NotFound("Nothing is owed to this identity here.")
    resolver.refresh_when_older(identities.by_scid(scid), seconds=LOG_AGE_SECONDS_MAX)
    return accept(data=data)


@transaction.atomic
def accept(*, data: bytes) -> Acceptance:
    """Take an agreement that a creator signed over our default offer; sign it too, log it, and free what waited for it.

    Idempotent: who has accepted an offer is not written down again, whatever moment a second signature names. Raises Invalid
    with the reason's name for anything but the published terms properly signed, NotAllowed for a key that signs no more; then
    nothing has changed.
    """
    try:
        terms = agreement.parse_agreement(data)
        offer = default_offer()
        _check_same_terms(terms, offer)
        _check_moment(terms)
        if agreement.check_signed(terms, member(terms.scope).present_keys.get, by_instance=False):
            raise NotAllowed("This agreement is not signed with the present key of the identity.")
        signed = agreement.parse_agreement(canonical.encode(_signed_by_instance(terms.document)))
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    # Two that accept at once: the second finds what the first wrote.
    Identity.objects.select_for_update().get(scid=terms.scope)
    row = _accepted_before(terms) or _publish(signed)
    acceptance, _ = Acceptance.objects.get_or_create(scid=terms.scope, agreement=row)
    _free_unclaimed(acceptance)
    return acceptance


def member(scid: str) -> Member:
    """Who may sign for ``scid``, from its verified log. Raises NotFound, KeyLogError."""
    log_of = identities.log_of(identities.by_scid(scid))
    keys: dict[str, bytes] = {}
    method = ""
    for version in log_of.versions:
        document = keylog.read(version.entry.state)
        method = f"{document.did}?versionId={version.entry.version_id}#user-{document.user.number}"
        keys[method] = multikey_bytes(document.user.multikey, "ed25519")
    return Member(scid, log_of.custody, method, keys)


def _accepted_before(terms: Terms) -> Agreement | None:
    """What this creator signed already over the same offer, in the same custody."""
    for one in Acceptance.objects.filter(scid=terms.scope).select_related("agreement").order_by("-id"):
        document = terms_of(one.agreement).document
        if (document["prev"], document["parties"]) == (terms.document["prev"], terms.document["parties"]):
            return one.agreement
    return None


def _check_moment(terms: Terms) -> None:
    """An agreement that begins later would make payable now what is only agreed for then."""
    if datetime.fromisoformat(terms.effective_from) > clock.now() + timedelta(seconds=CLOCK_SECONDS_MAX):
        raise Invalid("What is signed must be in force when it is handed in.", field="effective_from")


def _check_same_terms(terms: Terms, offer: Agreement) -> None:
    """Only the published terms are taken without asking; other shares are for people to negotiate."""
    offered = terms_of(offer)
    own = [party for party in terms.document["parties"] if party["scid"] == terms.scope]
    expected = offers.channel_agreement(
        offered,
        scid=terms.scope,
        custody=own[0]["custody"] if own else "",
        created=terms.document["created"],
        effective_from=terms.effective_from,
    )
    if terms.kind != CHANNEL or terms.id != expected["id"]:
        raise Invalid("These are not the terms of the published offer.", field="shares")
    if terms.document["parties"][0]["custody"] != member(terms.scope).custody:
        raise Invalid("The custody is not that of the identity's log.", field="custody")


def _signed_by_instance(document: Any) -> dict[str, Any]:
    return offers.sign(
        document,
        key=instance_keys.instance_signing_key(),
        verification_method=instance_keys.instance_method(),
        created=clock.now(),
    )


def _publish(terms: Terms) -> Agreement:
    """Log an agreement, whose bytes are kept first."""
    known = Agreement.objects.filter(id=terms.id).first()
    if known is not None:
        return known
    draft = Draft("agreement", log.make_id("agreement", terms.id), {
        "agreement": terms.id, "blob": store.put_blob(terms.data, public=True), "kind": terms.kind,
        "prev": terms.document["prev"], "effective_from": terms.effective_from,
    }, {})  # fmt: skip
    # Proofs carry their time: after a crash the log may hold the same terms signed a moment earlier. Those count.
    (entry,) = log.append_batch(lambda _: [draft])
    return Agreement.objects.create(
        id=terms.id,
        kind=terms.kind,
        scope=terms.document["scope"],
        document=store.read_blob(entry.body["blob"], public=True),
        effective_from=datetime.fromisoformat(terms.effective_from),
        entry_id=entry.index,
    )


def _free_unclaimed(acceptance: Acceptance) -> None:
    drafts = list(_claims(acceptance, AccountHead.objects.filter(scid=acceptance.scid, unclaimed__gt=0)))
    if drafts:
        log.append(drafts)
        accounts_root.commit_accounts(name=f"claim/{acceptance.agreement_id}")


def _claims(acceptance: Acceptance, heads: Iterable[AccountHead]) -> Iterable[Draft]:
    for head in heads:
        yield Draft(
            "claim",
            log.make_id("claim", acceptance.agreement_id, head.currency, head.seq),
            {
                "scid": head.scid, "currency": head.currency, "amount": format_amount(head.unclaimed),
                "agreement": acceptance.agreement_id,
            },
            {
                account(UNCLAIMED, head.currency, head.scid): head.unclaimed,
                account(PAYABLE, head.currency, head.scid): -head.unclaimed,
            },
        )  # fmt: skip
