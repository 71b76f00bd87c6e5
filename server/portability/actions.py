"""The verbs of archives: ask for one, forget old ones, pick a replica. What takes long is a row that workers take further."""

from datetime import timedelta

from django.db import transaction

from server.accounts.facts import AccountDeleted
from server.accounts.following import check_may_act
from server.accounts.models import Account
from server.core import clock, facts
from server.core.errors import NotAllowed, WrongState
from server.core.models import Task
from server.portability import vault
from server.portability.facts import ArchiveMade, ArchiveTurn
from server.portability.models import Archive, ArchiveFile, Held, HeldFile, ImportFile, Original
from server.videos import states
from server.videos.facts import VideoDeleted

DAILY_COUNT_MAX = 50
KEPT_OF_EACH_KIND = 2
SWEEP_AFTER_SECONDS = 24 * 3600
GIVEN_UP = "Something went wrong on the server while the archive was made. Try again."


@transaction.atomic
def ask_archive(*, account: Account, by: Account, kind: str = "demand") -> Archive:
    """Make an archive of ``account``; one that is being made already is the answer. Raises NotAllowed, WrongState."""
    check_may_act(by)
    if by.pk != account.pk:
        raise NotAllowed("This is not your account.")
    if not account.scid:
        raise WrongState("This account has no portable identity yet.")
    Account.objects.select_for_update().get(pk=account.pk)
    running = Archive.objects.filter(account=account, kind=kind, state="making").first()
    if running is not None:
        return running
    made = Archive.objects.create(account=account, kind=kind)
    facts.record(ArchiveTurn(archive_id=made.pk, turn=0))
    return made


def make_daily() -> int:
    """Ask for the archives that are due: of each local account one a day. Returns how many (chore)."""
    day_ago = clock.now() - timedelta(days=1)
    recent = Archive.objects.filter(kind="daily", asked_at__gt=day_ago).values("account_id")
    homed = Account.objects.filter(domain="", deleted_at=None, suspended_at=None, moved_to=None).exclude(scid=None)
    due = homed.exclude(pk__in=recent).order_by("pk")[:DAILY_COUNT_MAX]
    return len([ask_archive(account=account, by=account, kind="daily") for account in due])


def forget_old(fact: ArchiveMade) -> None:
    """Of each kind an account has its newest archives; the files of older ones are swept when nothing else names them."""
    made = Archive.objects.filter(pk=fact.archive_id).first()
    if made is None:
        return
    of_kind = Archive.objects.filter(account=made.account_id, kind=made.kind).exclude(state="making").order_by("-pk")
    for old in of_kind[KEPT_OF_EACH_KIND:]:
        old.delete()


def forget_original(fact: VideoDeleted) -> None:
    """The file from which a deleted video was made is nobody's any more; the sweep removes it."""
    Original.objects.filter(video_id=fact.video_id, video__state=states.DELETED).delete()


def forget_originals(fact: AccountDeleted) -> None:
    """As ``forget_original``, of all videos of an account that was closed."""
    Original.objects.filter(video__account_id=fact.account_id, video__account__deleted_at__isnull=False).delete()


def fail_given_up() -> int:
    """Say of archives whose work was buried that they failed. Returns how many (chore)."""
    failed = 0
    for archive in Archive.objects.filter(state="making"):
        alive = Task.objects.filter(fact=ArchiveTurn.__name__, payload__archive_id=archive.pk, dead_at=None)
        if not alive.exists():
            failed += Archive.objects.filter(pk=archive.pk, turn=archive.turn, state="making").update(
                state="failed", failure=GIVEN_UP
            )
    return failed


def sweep_vault() -> int:
    """Remove files that nothing has named for a day. Returns how many (chore)."""
    before = clock.now().timestamp() - SWEEP_AFTER_SECONDS
    vault.forget_passing(before)
    swept = 0
    for sha256, kept_at in vault.all_names():
        if kept_at < before and not _is_named(sha256):
            vault.path_of(sha256).unlink(missing_ok=True)
            swept += 1
    return swept


def _is_named(sha256: str) -> bool:
    return (
        ArchiveFile.objects.filter(sha256=sha256, media_name="").exists()
        or Archive.objects.filter(manifest_sha256=sha256).exists()
        or Original.objects.filter(sha256=sha256).exists()
        or ImportFile.objects.filter(sha256=sha256).exclude(of__state__in=["done", "refused", "cancelled"]).exists()
        or Held.objects.filter(manifest_sha256=sha256).exists()
        or HeldFile.objects.filter(sha256=sha256, here=True).exists()
    )
