"""Telling servers that know no key logs, after the old home is gone: the owner signs the Move, we transmit exactly her bytes.

Each server of a former follower gets one request. Signed with the old account's RSA key it counts as the old home's own
(Mastodon, GoToSocial). Where that key is lost, where the signature has grown too old, or where it is not believed, the same body
goes out in the name of the new account, and the proof inside it is what counts (Mastodon from 4.7).
"""

from datetime import timedelta

from django.db import transaction

from server.accounts import queries
from server.accounts.facts import MoveSigned
from server.accounts.following import check_may_act
from server.accounts.models import Account, SignedMove
from server.core import clock, facts, limits
from server.core.errors import Conflict, NotAllowed, WrongState
from server.identity import moverequests
from server.identity import queries as identities
from server.identity.keylog import PolicyLog
from server.identity.models import Identity
from server.identity.moverequests import MoveRequests


def ask_signatures(*, account: Account, by: Account) -> MoveRequests:
    """What the owner of ``account`` is to sign: one Move, for each server on which a former follower reads.

    Only when nothing stands in the way any more, for a Move cannot be taken back and other servers take one in a week: the
    identity arrived here, the new account names the old one, and ``check_effects`` has no doubts. Raises what that raises, and
    NotAllowed, WrongState, Conflict.
    """
    return _plan(account, by)[0]


@transaction.atomic
def take_signed(*, account: Account, by: Account, data: bytes) -> SignedMove:
    """Keep what the owner signed and have it sent. Raises as ``ask_signatures``, and BadMoveRequests, WrongMoveSignature."""
    Account.objects.select_for_update().get(pk=account.pk)
    requests, log = _plan(account, by)
    move = moverequests.read_signed(data, requests=requests, log=log, now=clock.now())
    kept = SignedMove.objects.create(
        account=account,
        activity_uri=requests.activity["id"],
        body=move.body,
        requests={inbox: move.headers.get(inbox) for inbox in requests.inboxes},
        signed_until=move.expires,
        waiting=len(requests.inboxes),
    )
    facts.record(MoveSigned(signed_move_id=kept.pk))
    return kept


def last_signed(account: Account) -> SignedMove | None:
    """The newest Move that the owner of ``account`` signed, and how far it got."""
    return account.signed_moves.order_by("-pk").first()


def _plan(account: Account, by: Account) -> tuple[MoveRequests, PolicyLog]:
    check_may_act(by)
    if by.pk != account.pk:
        raise NotAllowed("This is not your account.")
    identity = Identity.objects.filter(scid=account.scid, is_home=True).first()
    old_uri = identities.former_actor(identity) if identity is not None else ""
    if identity is None or not old_uri or account.moved_to_id is not None:
        raise WrongState("No identity has come to this account from another home.")
    if old_uri not in account.also_known_as or not queries.is_active(account):
        raise WrongState("The new account does not name the old one, so other servers would not believe the move.")
    identities.check_effects(identity.scid)
    since = clock.now() - timedelta(days=limits.MOVE_SENT_DAYS_MIN)
    if account.signed_moves.filter(signed_at__gt=since).exists():
        raise Conflict(f"A Move was signed already. Other servers take one in {limits.MOVE_SENT_DAYS_MIN} days.")
    inboxes = sorted({row.shared_inbox or row.inbox for row in account.former_followers.all()})
    if not inboxes:
        raise WrongState("We do not know yet who followed you. Add the list of your followers first.")
    log = identities.log_of(identity)
    return moverequests.plan(log, old_actor=old_uri, inboxes=inboxes), log
