"""Who has just come from another home settles in: held back until what she brought is checked, and her followers there are kept.

Told by every turn of an import, beside the import itself (``imports``). The media may trail: an account is let go as soon as
identity, lists and posts are judged and counted.
"""

from typing import Any, Final

from server.accounts import bringing
from server.accounts.models import Account
from server.core import canonical
from server.core.errors import Invalid, TributaryError
from server.identity import queries as identities
from server.identity.models import Identity
from server.portability import csvs, unpacking
from server.portability.facts import ImportTurn
from server.portability.models import Import, ImportItem
from server.videos import states
from server.videos.models import Video

# Of imports.STEPS: from here on the manifest is judged, and from there on only media are missing.
JUDGED_STEP: Final = 2
MEDIA_STEP: Final = 6
FOLLOWERS: Final = "graph/followers.jsonl"


def attend(fact: ImportTurn) -> None:
    """Look at the account of an import that has come a little further. Twice is once."""
    one = (
        Import.objects.select_for_update(of=("self",))
        .select_related("account")
        .filter(pk=fact.import_id, state="running", kind__in=["", unpacking.TRIBUTARY])
        .first()
    )
    if one is None or csvs.kind_of(one.filename) is not None or not _came_from_elsewhere(one.account):
        return
    if one.step >= JUDGED_STEP:
        _keep_followers(one)
    if one.step >= MEDIA_STEP:
        bringing.let_go(account=one.account)
    elif not Video.objects.filter(account=one.account).exclude(state=states.DELETED).exists():
        bringing.hold_back(account=one.account)


def let_go_checked() -> int:
    """Let go whom no import holds back any more, however it ended. Returns how many (chore)."""
    busy = Import.objects.filter(state="running", step__lt=MEDIA_STEP).values("account_id")
    waiting = list(Account.objects.filter(domain="").exclude(held_back_at=None).exclude(pk__in=busy))
    for account in waiting:
        bringing.let_go(account=account)
    return len(waiting)


def _came_from_elsewhere(account: Account) -> bool:
    identity = Identity.objects.filter(scid=account.scid, is_home=True).first()
    return identity is not None and identities.former_actor(identity) != ""


def _keep_followers(one: Import) -> None:
    """Those in the archive, where its owner has opened the list. It becomes a row of the import, so it is read once."""
    data = unpacking.private(one, FOLLOWERS)
    if data is None or one.items.filter(kind="followers").exists():
        return
    item = ImportItem(of=one, kind="followers", name=FOLLOWERS, state="done")
    try:
        added = bringing.keep_followers(account=one.account, rows=_rows(data))
    except TributaryError as error:
        item.state, item.why = "failed", str(error)[:300]
    else:
        item.why = f"{added} followers of the old account were added. Their servers are being told."
    item.save()


def _rows(data: bytes) -> list[dict[str, Any]]:
    try:
        return [canonical.parse(line, depth_max=2, fractions=False) for line in data.splitlines() if line.strip()]
    except ValueError as error:
        raise Invalid("This is not the list of followers out of an archive.", field="followers") from error
