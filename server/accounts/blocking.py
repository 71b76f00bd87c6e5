"""Keeping away from somebody: for both (block) or for oneself alone (mute). Import these verbs from ``actions``."""

from django.db import transaction

from server.accounts.following import sever
from server.accounts.models import Account, Block, Mute
from server.core.errors import Invalid


@transaction.atomic
def block(*, account: Account, target: Account) -> None:
    """``account`` wants nothing to do with ``target``: follows between them end, new ones are refused. Twice is once."""
    _check_other(account, target)
    Block.objects.get_or_create(account=account, target=target)
    sever(account=account, target=target)


@transaction.atomic
def unblock(*, account: Account, target: Account) -> None:
    """Take a block back; the follows it ended stay ended."""
    Block.objects.filter(account=account, target=target).delete()


@transaction.atomic
def mute(*, account: Account, target: Account) -> None:
    """``account`` no longer sees ``target``, who never learns of it. Twice is once."""
    _check_other(account, target)
    Mute.objects.get_or_create(account=account, target=target)


@transaction.atomic
def unmute(*, account: Account, target: Account) -> None:
    """Take a mute back."""
    Mute.objects.filter(account=account, target=target).delete()


def _check_other(account: Account, target: Account) -> None:
    if account.pk == target.pk:
        raise Invalid("This is you.", field="target")
