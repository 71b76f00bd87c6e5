"""Reading accounts: who is who, and how two people stand to each other."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet

from server.accounts.addresses import LOCAL_HANDLE, parse_address
from server.accounts.models import Account, AccountKey, Block, Follow, Mute
from server.accounts.remote import one_line
from server.core.errors import Invalid, NotFound


@dataclass(frozen=True, kw_only=True)
class Relationship:
    """How a viewer stands to another account."""

    following: bool = False
    requested: bool = False
    followed_by: bool = False
    blocking: bool = False
    muting: bool = False


def active() -> QuerySet[Account]:
    """Accounts that are neither deleted nor suspended."""
    return Account.objects.filter(deleted_at=None, suspended_at=None)


def is_active(account: Account) -> bool:
    """Neither deleted nor suspended."""
    return account.deleted_at is None and account.suspended_at is None


def by_acct(acct: str) -> Account:
    """The account with this address: ``alice``, ``bob@peer.example``, with or without a leading ``@``. Raises NotFound."""
    bare = acct.strip().removeprefix("@")
    if "@" not in bare:
        return local_by_handle(bare)
    try:
        address = parse_address(bare)
    except Invalid as error:
        raise NotFound("There is no such account.") from error
    if address.host == settings.HOST:
        return local_by_handle(address.handle)
    found = active().filter(handle__iexact=address.handle, domain=address.host).first()
    if found is None:
        raise NotFound("There is no such account.")
    return found


def by_id(account_id: int) -> Account:
    """The account with this id. Raises NotFound, also when it is deleted or suspended."""
    found = active().filter(pk=account_id).first()
    if found is None:
        raise NotFound("There is no such account.")
    return found


def by_uri(uri: str) -> Account | None:
    """The account with this ActivityPub id, whatever its standing; None when we have never met it."""
    return Account.objects.filter(uri=uri).first()


def local_by_handle(handle: str) -> Account:
    """The local account called ``handle`` in any case of letters. Raises NotFound, also when it is deleted or suspended."""
    found = active().filter(handle__iexact=handle, domain="").first() if LOCAL_HANDLE.fullmatch(handle) else None
    if found is None:
        raise NotFound("There is no such account.")
    return found


def signing_key(account: Account) -> AccountKey:
    """The RSA key with which the server signs for a local account. Raises NotFound for an account without one."""
    found = account.keys.filter(name="main-key").first()
    if found is None:
        raise NotFound("This account has no key here.")
    return found


def relationship(viewer: Account | None, target: Account) -> Relationship:
    """How ``viewer`` stands to ``target``; all False for nobody and for oneself."""
    if viewer is None or viewer.pk == target.pk:
        return Relationship()
    states = set(Follow.objects.filter(follower=viewer, target=target).values_list("state", flat=True))
    return Relationship(
        following="accepted" in states,
        requested="pending" in states,
        followed_by=Follow.objects.filter(follower=target, target=viewer, state="accepted").exists(),
        blocking=is_blocked(viewer, target),
        muting=Mute.objects.filter(account=viewer, target=target).exists(),
    )


def accepted_followers(account: Account) -> QuerySet[Account]:
    """The accounts that follow ``account``, local and remote."""
    return active().filter(following__target=account, following__state="accepted")


def accepted_following(account: Account) -> QuerySet[Account]:
    """The accounts that ``account`` follows, local and remote."""
    return active().filter(followers__follower=account, followers__state="accepted")


def follow_requests(account: Account) -> QuerySet[Follow]:
    """Follows of ``account`` that wait for her answer, the newest first."""
    waiting = Follow.objects.filter(target=account, state="pending", follower__deleted_at=None, follower__suspended_at=None)
    return waiting.select_related("follower").order_by("-id")


def is_blocked(by: Account, who: Account) -> bool:
    """True when ``by`` blocks ``who``."""
    return Block.objects.filter(account=by, target=who).exists()


def search(text: str) -> QuerySet[Account]:
    """Accounts whose handle or name begins with ``text``, local ones and the longest known first."""
    bare = one_line(text).removeprefix("@")
    handle, _, host = bare.partition("@")
    if not handle:
        return Account.objects.none()
    if host:
        domain = "" if host.lower() == settings.HOST else host.lower()
        return active().filter(handle__istartswith=handle, domain__istartswith=domain).order_by("domain", "id")
    return active().filter(Q(handle__istartswith=bare) | Q(display_name__istartswith=bare)).order_by("domain", "id")


def by_scids(scids: Iterable[str]) -> dict[str, Account]:
    """The account that is known of each identity; of somebody who moved, the one where she lives now."""
    found = sorted(Account.objects.filter(scid__in=scids), key=lambda account: account.moved_to_id is None)
    return {account.scid: account for account in found if account.scid}
