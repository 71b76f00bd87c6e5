"""Accounts elsewhere that are the same person: whoever moves from Mastodon or the like to here must stand in this list first.

Mastodon's rule, which others follow: a Move from an old account counts only when the new one names the old in ``alsoKnownAs``.
"""

from django.db import transaction

from server.accounts import actions
from server.accounts.facts import AccountUpdated
from server.accounts.following import check_may_act
from server.accounts.models import Account
from server.core import clock, facts, limits
from server.core.errors import Invalid, NotAllowed, WrongState
from server.identity import queries as identities


def add_alias(*, account: Account, by: Account, address: str) -> Account:
    """Say that the account at ``address`` is ``account`` too, and tell the followers. Twice is once. Returns the other one.

    Asks its server who that is. Raises Invalid(field="address"), NotAllowed, and what ``actions.ask_account`` raises.
    """
    _check(account, by)
    other = actions.ask_account(address=address)
    if other.pk == account.pk:
        raise Invalid("That is this very account.", field="address")
    with transaction.atomic():
        row = Account.objects.select_for_update().get(pk=account.pk)
        if other.uri not in row.also_known_as:
            if len(row.also_known_as) >= limits.ALIASES_COUNT_MAX:
                raise Invalid(f"At most {limits.ALIASES_COUNT_MAX} other accounts.", field="address")
            _write(row, [*row.also_known_as, other.uri])
    return other


@transaction.atomic
def remove_alias(*, account: Account, by: Account, uri: str) -> None:
    """Take the account with this id off the list; one that is not on it is no error.

    Raises NotAllowed, WrongState for an earlier home of the identity, which its key log names.
    """
    _check(account, by)
    row = Account.objects.select_for_update().get(pk=account.pk)
    if uri in earlier_homes(row):
        raise WrongState("Your identity lived there: its key log says so for ever.")
    if uri in row.also_known_as:
        _write(row, [each for each in row.also_known_as if each != uri])


def earlier_homes(account: Account) -> frozenset[str]:
    """The names that the key log of ``account`` gives it beside the present one."""
    if not account.scid:
        return frozenset()
    return frozenset(identities.document_of(identities.by_scid(account.scid)).prior)


def _write(account: Account, aliases: list[str]) -> None:
    account.also_known_as = aliases
    account.updated_at = clock.now()
    account.save(update_fields=["also_known_as", "updated_at"])
    facts.record(AccountUpdated(account_id=account.pk))


def _check(account: Account, by: Account) -> None:
    check_may_act(by)
    if by.pk != account.pk:
        raise NotAllowed("This is not your account.")
