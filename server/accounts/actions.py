"""The verbs of accounts: open, change, suspend, close, receive from other servers, block, mute, follow."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from server.accounts import addresses, avatars, queries
from server.accounts.blocking import block, mute, unblock, unmute
from server.accounts.facts import AccountDeleted, AccountUpdated
from server.accounts.following import (
    answer_follow,
    check_may_act,
    follow,
    receive_follow,
    receive_follow_answer,
    receive_unfollow,
    repoint_follows,
    unfollow,
)
from server.accounts.models import Account, AccountKey, Follow, User
from server.accounts.remote import RemoteProfile, account_fields, one_line, paragraphs
from server.accounts.waiting import apply_waiting
from server.core import clock, facts, keys, limits, locators
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.identity.actions import create_identity
from server.identity.models import Identity

__all__ = [
    "answer_follow",
    "ask_account",
    "block",
    "close_account",
    "discover_account",
    "follow",
    "mute",
    "open_account",
    "receive_account_deleted",
    "receive_follow",
    "receive_follow_answer",
    "receive_remote_account",
    "receive_unfollow",
    "repoint_follows",
    "suspend_account",
    "unblock",
    "unfollow",
    "unmute",
    "unsuspend_account",
    "update_profile",
]


def open_account(*, user: User, handle: str, display_name: str = "") -> Account:
    """Give ``user`` the account ``handle`` on this instance, with its RSA key ``main-key`` and Ed25519 key ``home-1``.

    Raises Invalid(field="handle") for a shape that cannot be, Conflict(field="handle") when it is reserved or taken
    (also in another case of letters, and for ever: the name of a closed account is not given away).
    """
    addresses.check_handle(handle)
    name = _checked_name(display_name)
    # Made before the transaction begins: 0.1 s of arithmetic must not hold the write lock.
    pairs = {"main-key": keys.make_rsa(), "home-1": keys.make_ed25519()}
    try:
        with transaction.atomic():
            if Account.objects.filter(user=user).exists():
                raise Conflict("You have an account already.")
            account = Account.objects.create(
                user=user,
                handle=handle,
                uri=locators.actor_uri(handle),
                url=locators.profile_url(handle),
                display_name=name,
            )
            AccountKey.objects.bulk_create(
                AccountKey(
                    account=account,
                    name=key_name,
                    algorithm=pair.algorithm,
                    public=pair.public,
                    private_sealed=pair.private_sealed,
                )
                for key_name, pair in pairs.items()
            )
            identity = create_identity(handle=handle, home_key=pairs["home-1"].public)
            account.scid = identity.scid
            account.save(update_fields=["scid"])
    except IntegrityError as error:
        raise Conflict("This handle is taken. Choose another one.", field="handle") from error
    return account


@transaction.atomic
def update_profile(
    *,
    account: Account,
    by: Account,
    display_name: str,
    bio: str,
    avatar: bytes | None = None,
    manually_approves_followers: bool | None = None,
) -> None:
    """Change what others see of ``account``; None leaves a part as it is.

    ``avatar`` is decoded and written anew. Raises NotAllowed for anybody but the account, Invalid or TooLarge with ``field``.
    """
    check_may_act(by)
    if account.pk != by.pk:
        raise NotAllowed("This is not your profile.")
    bio = paragraphs(bio)
    if len(bio) > limits.BIO_CHARACTERS_MAX:
        raise Invalid(f"At most {limits.BIO_CHARACTERS_MAX} characters.", field="bio")
    account.display_name = _checked_name(display_name)
    account.bio = bio
    if manually_approves_followers is not None:
        account.manually_approves_followers = manually_approves_followers
    if avatar is not None:
        account.avatar_file = avatars.store(avatar, instead_of=account.avatar_file)
    account.updated_at = clock.now()
    account.save(update_fields=["display_name", "bio", "avatar_file", "manually_approves_followers", "updated_at"])
    facts.record(AccountUpdated(account_id=account.pk))


@transaction.atomic
def receive_remote_account(*, profile: RemoteProfile) -> Account:
    """Keep what another server says about its person: a new row, or the changed columns of the one with this ``uri``.

    Raises NotAllowed (an address of ours, or an account that was deleted), Invalid, Conflict (another id has this address).
    """
    fields = account_fields(profile)
    known = Account.objects.select_for_update().filter(uri=profile.uri).first()
    if known is not None and known.scid and Identity.objects.filter(scid=known.scid).exists():
        # Whose log we keep stays who she is: a home that drops or swaps the identity cannot lead her followers astray.
        del fields["scid"]
    if known is not None and known.deleted_at is not None:
        raise NotAllowed("This account was deleted.")
    try:
        with transaction.atomic():
            if known is None:
                known, _ = Account.objects.get_or_create(uri=profile.uri, defaults=fields)
            for name, value in fields.items():
                setattr(known, name, value)
            known.updated_at = clock.now()
            known.save(update_fields=[*fields, "updated_at"])
    except IntegrityError as error:
        raise Conflict("Another account has this address.") from error
    apply_waiting(known)
    return known


def discover_account(*, address: str) -> Account:
    """The account at ``user@host[:port]``: one we know, else the one its own server tells us about.

    Raises Invalid(field="address") for another shape, NotFound, NotAllowed (blocked domain), Unavailable (no answer).
    """
    wanted = addresses.parse_address(address)
    try:
        return queries.by_acct(str(wanted))
    except NotFound:
        if wanted.host == settings.HOST or Account.objects.filter(handle__iexact=wanted.handle, domain=wanted.host).exists():
            raise
    return ask_account(address=address)


def ask_account(*, address: str) -> Account:
    """The account at ``user@host[:port]`` as its own server describes it now. Raises as ``discover_account``."""
    account: Account = import_string(settings.ACCOUNT_RESOLVER)(str(addresses.parse_address(address)))
    return account


@transaction.atomic
def suspend_account(*, account: Account, by_staff: User) -> None:
    """Hide ``account`` and, when local, stop its sign-in, sessions and tokens. Twice is once. Raises NotAllowed."""
    _check_staff(by_staff)
    if account.suspended_at is None:
        account.suspended_at = clock.now()
        account.save(update_fields=["suspended_at"])
    if account.user is not None:
        account.user.is_active = False
        account.user.save(update_fields=["is_active"])


@transaction.atomic
def unsuspend_account(*, account: Account, by_staff: User) -> None:
    """Take a suspension back. Raises NotAllowed."""
    _check_staff(by_staff)
    account.suspended_at = None
    account.save(update_fields=["suspended_at"])
    if account.user is not None:
        account.user.is_active = True
        account.user.save(update_fields=["is_active"])


@transaction.atomic
def close_account(*, account: Account, by: Account) -> None:
    """``account`` leaves for ever: what described her is gone, the user with e-mail, sessions and tokens too.

    The handle, the keys and the rows of her followers stay, to sign and address the farewell to other servers.
    Raises NotAllowed for anybody else.
    """
    if account.pk != by.pk or not account.is_local:
        raise NotAllowed("This is not your account.")
    if account.deleted_at is not None:
        return
    user = account.user
    _empty(account)
    if user is not None:
        user.delete()
    facts.record(AccountDeleted(account_id=account.pk))


@transaction.atomic
def receive_account_deleted(*, account: Account) -> None:
    """A remote account is gone. Twice is once. Raises NotAllowed for a local one."""
    if account.is_local:
        raise NotAllowed("A local account is not deleted from outside.")
    if account.deleted_at is None:
        _empty(account)
    Follow.objects.filter(follower=account).delete()
    Follow.objects.filter(target=account).delete()


def _empty(account: Account) -> None:
    avatars.forget(account.avatar_file)
    account.user = None
    account.display_name = account.bio = account.avatar_file = account.avatar_remote_url = ""
    account.deleted_at = clock.now()
    account.save()


def _checked_name(display_name: str) -> str:
    name = one_line(display_name)
    if len(name) > limits.DISPLAY_NAME_CHARACTERS_MAX:
        raise Invalid(f"At most {limits.DISPLAY_NAME_CHARACTERS_MAX} characters.", field="display_name")
    return name


def _check_staff(by_staff: User) -> None:
    if not (by_staff.is_staff and by_staff.is_active):
        raise NotAllowed("Only staff may do this.")
