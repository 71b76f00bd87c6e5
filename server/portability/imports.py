"""An import, in slices that may be killed at any point and be run twice. Everything is judged before anything has an effect.

0. ``unpack``: the files into the vault, each held against the manifest (``unpacking``).
1. ``judge``: posts, statement and lists; every thing to be brought becomes a row, in one transaction.
2. ``keep_away``: blocks and mutes, before anything that could bring somebody in.
3. ``follow``: asks the servers of those who were followed.
4. ``profile``: name, words and picture, where the account has none yet.
5. ``remember``: posts of earlier homes, as they were published, for the map and for the next archive.
6. ``videos``: a few at a time go through the transcoder like any upload; then they are published without being news.
7. ``finish``: says what is missing, and lets the files go.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from payouts.ledger.errors import LedgerError
from server.accounts import actions as accounts
from server.accounts import queries as account_queries
from server.accounts.addresses import parse_address
from server.accounts.facts import PostsMoved
from server.accounts.models import Account, WaitingRelation
from server.core import canonical, clock, facts, limits, worker
from server.core.errors import NotFound, StorageFull, TributaryError
from server.core.models import Task
from server.portability import fetching, incoming, judging, paths, posts, unpacking, vault, verify
from server.portability.facts import ImportTurn
from server.portability.models import Earlier, Import, ImportItem, Original
from server.portability.parts import EARLIER
from server.videos import states
from server.videos.drafts import VideoDraft
from server.videos.importing import import_video, publish_quietly
from server.videos.models import Video

SLICE_SECONDS = 15
TRANSCODES_AT_ONCE = 4
WAIT_SECONDS = 2
ROWS_AT_ONCE = 500
NOTES_MAX = 1_000
GIVEN_UP = "Something went wrong on the server during this import. What it did so far stays; try again."


@dataclass(frozen=True)
class Next:
    """What a slice leaves: go on with ``step``, after so many seconds; ``permille`` of all is done."""

    step: int
    permille: int
    wait_seconds: int = 0


def run(fact: ImportTurn) -> None:
    """One slice of an import. An old turn does nothing; what cannot be accepted ends the import, with its reason."""
    one = Import.objects.select_related("account").filter(pk=fact.import_id, turn=fact.turn, state="running").first()
    if one is None:
        return
    try:
        after = STEPS[one.step](one, time.monotonic() + SLICE_SECONDS)
    except worker.LeaseLost:
        raise
    except (TributaryError, LedgerError) as error:
        if isinstance(error, TributaryError) and not error.permanent:
            raise  # a full disk, a server that does not answer: the worker tries again
        _end(one, state="refused", code=error.code, reason=str(error))
        return
    if after.step == len(STEPS):
        _end(one, state="done")
        return
    with transaction.atomic():
        mine = Import.objects.filter(pk=one.pk, turn=one.turn, state="running")
        if mine.update(turn=one.turn + 1, step=after.step, permille=after.permille):
            facts.record(ImportTurn(import_id=one.pk, turn=one.turn + 1), delay_seconds=after.wait_seconds)


def _end(one: Import, *, state: str, code: str = "", reason: str = "") -> None:
    with transaction.atomic():
        ended = Import.objects.filter(pk=one.pk, turn=one.turn, state="running").update(
            state=state,
            turn=one.turn + 1,
            code=code[:40],
            reason=reason[:2000],
            finished_at=clock.now(),
            **({"permille": 1000} if state == "done" else {}),
        )
        if ended:
            one.files.all().delete()
    if ended:
        # A crash before leaves a file that the hourly chore removes.
        incoming.path_of(one).unlink(missing_ok=True)


def fail_given_up() -> int:
    """Say of imports whose work was buried that they failed. Returns how many (chore)."""
    failed = 0
    for one in Import.objects.filter(state="running"):
        tasks = Task.objects.filter(fact=ImportTurn.__name__, payload__import_id=one.pk)
        if not tasks.filter(dead_at=None).exists():
            last = tasks.order_by("-pk").values_list("last_error", flat=True).first() or ""
            full = StorageFull.__name__ in last
            _end(one, state="failed", code="storage_full" if full else "error", reason=str(StorageFull()) if full else GIVEN_UP)
            failed += 1
    return failed


# --- 0 and 1 ---


def _unpack(one: Import, until: float) -> Next:
    if one.source:
        done, permille = fetching.fetch(one, until=until)
        return Next(1 if done else 0, 500 if done else permille)
    total = max(1, one.bytes_expected)
    so_far = one.permille

    def note(done: int) -> None:
        nonlocal so_far
        so_far = min(500, max(so_far, done * 500 // total))
        worker.renew()
        if not Import.objects.filter(pk=one.pk, turn=one.turn, state="running").update(permille=so_far):
            raise worker.LeaseLost

    done = unpacking.unpack(one, until=until, on_progress=note)
    return Next(1, 500) if done else Next(0, so_far)


def _judge(one: Import, _until: float) -> Next:
    items, notes = judging.judge(one)
    with transaction.atomic():
        one.items.all().delete()
        rows = {(item.kind, item.name): item for item in items}
        ImportItem.objects.bulk_create(rows.values(), batch_size=ROWS_AT_ONCE)
        Import.objects.filter(pk=one.pk).update(notes=notes[:NOTES_MAX])
    return Next(2, 520)


# --- 2 and 3 ---


def _items(one: Import, kinds: list[str], until: float) -> Iterator[ImportItem]:
    """The things of these kinds that wait, until the slice is over."""
    for item in one.items.filter(kind__in=kinds, state="waiting").order_by("pk").iterator(ROWS_AT_ONCE):
        worker.renew()
        yield item
        if time.monotonic() > until:
            return


def _set(item: ImportItem, state: str, why: str = "") -> None:
    ImportItem.objects.filter(pk=item.pk).update(state=state, why=why[:300])


def _left(one: Import, kinds: list[str]) -> bool:
    return one.items.filter(kind__in=kinds, state="waiting").exists()


def _keep_away(one: Import, until: float) -> Next:
    for item in _items(one, ["block", "mute"], until):
        try:
            with transaction.atomic():
                _set(item, *_keep_away_from(one.account, item))
        except TributaryError as error:
            _set(item, "failed", str(error))
    return Next(2, 530) if _left(one, ["block", "mute"]) else Next(3, 540)


def _keep_away_from(account: Account, item: ImportItem) -> tuple[str, str]:
    address = parse_address(item.name)
    verb = accounts.block if item.kind == "block" else accounts.mute
    try:
        target = account_queries.by_acct(str(address))
    except NotFound:
        if address.host == settings.HOST:
            return "missing", "There is no such account here."
        WaitingRelation.objects.get_or_create(account=account, kind=item.kind, address=str(address).lower())
        return "done", "It takes effect the moment this person is first met."
    verb(account=account, target=target)
    return "done", ""


def _follow(one: Import, until: float) -> Next:
    for item in _items(one, ["follow"], until):
        try:
            accounts.follow(follower=one.account, target=accounts.discover_account(address=item.name))
            _set(item, "done")
        except NotFound as error:
            _set(item, "missing", str(error))
        except TributaryError as error:
            if error.permanent:
                _set(item, "failed", str(error))
            else:
                WaitingRelation.objects.get_or_create(account=one.account, kind="follow", address=item.name.lower())
                _set(item, "kept", "The server did not answer; it is asked again for a week.")
    return Next(3, 560) if _left(one, ["follow"]) else Next(4, 600)


# --- 4 and 5 ---


def _profile(one: Import, _until: float) -> Next:
    data = unpacking.private(one, "settings.json") if one.kind == unpacking.TRIBUTARY else None
    if data is not None:
        _take_profile(one, posts.parse(data))
    return Next(5, 610)


def _take_profile(one: Import, kept: dict[str, object]) -> None:
    account = Account.objects.get(pk=one.account_id)
    name, bio, digest = kept.get("display_name"), kept.get("bio"), kept.get("avatar")
    picture = None
    if isinstance(digest, str) and not account.avatar_file and unpacking.has(one, paths.media(digest)):
        picture = unpacking.read(one, paths.media(digest))
    try:
        accounts.update_profile(
            account=account,
            by=account,
            display_name=account.display_name or (name if isinstance(name, str) else ""),
            bio=account.bio or (bio if isinstance(bio, str) else ""),
            avatar=picture,
            manually_approves_followers=account.manually_approves_followers or kept.get("manually_approves_followers") is True,
        )
    except TributaryError as error:
        _note(one, f"The profile was not taken over: {error}")


def _note(one: Import, text: str) -> None:
    with transaction.atomic():
        held = Import.objects.select_for_update().get(pk=one.pk)
        if text not in held.notes:
            held.notes = [*held.notes, text][:NOTES_MAX]
            held.save(update_fields=["notes"])


def _remember(one: Import, _until: float) -> Next:
    if one.kind == unpacking.TRIBUTARY:
        by = unpacking.owner_of(one)
        batch: list[Earlier] = []
        for row in _earlier_rows(one, by):
            batch.append(row)
            if len(batch) == ROWS_AT_ONCE:
                Earlier.objects.bulk_create(batch, ignore_conflicts=True)
                batch.clear()
                worker.renew()
        Earlier.objects.bulk_create(batch, ignore_conflicts=True)
    return Next(6, 620)


def _earlier_rows(one: Import, by: posts.Owner) -> Iterator[Earlier]:
    account = one.account
    for line in unpacking.read_lines(one, verify.OUTBOX):
        post = posts.read(line, by=by, now=clock.now())
        if post.actor != account.uri:
            name = post.about if post.kind == "Create" else post.uri
            yield Earlier(account=account, uri=name, actor=post.actor, line=line.decode())
    for line in unpacking.read_lines(one, EARLIER):
        activity = judging.earlier(line, by=by)
        content = activity["object"]
        name = content["id"] if isinstance(content, dict) else activity["id"]
        yield Earlier(account=account, uri=name, actor=activity["actor"], line=line.decode())


# --- 6 and 7 ---


def _videos(one: Import, until: float) -> Next:
    for item in one.items.filter(kind="video", state="waiting").exclude(video=None).select_related("video"):
        _look_after(one, item)
    under_way = one.items.filter(kind="video", state="waiting").exclude(video=None).count()
    is_late = False
    for item in one.items.filter(kind="video", state="waiting", video=None).order_by("pk"):
        # At least one in each slice, however slow this machine is.
        if under_way >= TRANSCODES_AT_ONCE or is_late:
            break
        worker.renew()
        under_way += _begin_video(one, item)
        is_late = time.monotonic() > until
    total = one.items.filter(kind="video").count() or 1
    waiting = one.items.filter(kind="video", state="waiting").count()
    permille = 620 + 375 * (total - waiting) // total
    return Next(6, permille, wait_seconds=WAIT_SECONDS if under_way and not is_late else 0) if waiting else Next(7, 995)


def _say_moved(one: Import, actor: str, moved: list[list[str]], *, is_complete: bool) -> None:
    """Let the map of FEP-1580 name these posts, if their old account is hers: its home sends on by it."""
    if one.kind == unpacking.TRIBUTARY or judging.proven(one.account, actor):
        facts.record(PostsMoved(account_id=one.account_id, old_actor_uri=actor, moved=moved, is_complete=is_complete))


def _look_after(one: Import, item: ImportItem) -> None:
    video = item.video
    assert video is not None
    if video.state == states.READY and item.data["publish"]:
        with transaction.atomic():
            publish_quietly(video=video, by=one.account)
            _set(item, "done", item.why)
            _say_moved(one, item.data["actor"], [[item.name, video.uri]], is_complete=False)
    elif video.state in {states.READY, states.PUBLISHED}:
        _set(item, "done", item.why)
    elif video.state == states.FAILED:
        _set(item, "failed", video.failure)
    elif video.state == states.DELETED:
        _set(item, "failed", "You deleted it while it was being imported.")


def _begin_video(one: Import, item: ImportItem) -> bool:
    """Let a video be transcoded. False when there is nothing to wait for."""
    if Video.objects.filter(account=one.account, uri=item.name).exclude(state=states.DELETED).exists() or (
        Earlier.objects.filter(account=one.account, uri=item.name)
        .exclude(video=None)
        .exclude(video__state=states.DELETED)
        .exists()
    ):
        _set(item, "done", "It is here already.")
        return False
    file = one.files.filter(path=item.data["path"]).first()
    if file is None:
        _set(item, "missing", "Its file is not in the archive.")
        return False
    published = canonical.parse_time(item.data["published"]) if item.data["published"] else clock.now()
    try:
        with transaction.atomic():
            video = import_video(
                account=one.account,
                path=vault.path_of(file.sha256),
                filename=item.data["filename"],
                draft=VideoDraft(**item.data["draft"], publish_when_ready=False),
                published_at=min(published, clock.now()),
            )
            Original.objects.create(video=video, sha256=file.sha256, size=file.size)
            Earlier.objects.get_or_create(account=one.account, uri=item.name, defaults={"actor": item.data["actor"]})
            Earlier.objects.filter(account=one.account, uri=item.name).update(video=video)
            ImportItem.objects.filter(pk=item.pk, video=None).update(video=video)
    except TributaryError as error:
        if not error.permanent:
            raise
        _set(item, "failed", str(error))
        return False
    return True


def _finish(one: Import, _until: float) -> Next:
    if one.kind == unpacking.TRIBUTARY:
        about = unpacking.manifest_of(one)
        here = set(one.files.values_list("path", flat=True))
        for listed in [file.path for file in about.files if file.path not in here][:NOTES_MAX]:
            _note(one, f"Missing from the archive: {listed}")
        for path in unpacking.sealed(one):
            _note(one, f"Sealed to you, so this server could not read it: {path}")
        unpacking.note_head(about)
    with transaction.atomic():
        for actor in sorted({item.data["actor"] for item in one.items.filter(kind="video", state="done")}):
            _say_moved(one, actor, [], is_complete=True)
    return Next(8, 1000)


STEPS: list[Callable[[Import, float], Next]] = [_unpack, _judge, _keep_away, _follow, _profile, _remember, _videos, _finish]


def retry_follows(*, count_max: int = 20) -> int:
    """Ask again for people whose servers did not answer; after a week they are given up. Returns how many were found (chore)."""
    found = 0
    for row in WaitingRelation.objects.filter(kind="follow").select_related("account").order_by("?")[:count_max]:
        try:
            accounts.follow(follower=row.account, target=accounts.discover_account(address=row.address))
            found += 1
        except TributaryError as error:
            if not error.permanent and (clock.now() - row.created_at).days < limits.UPLOAD_AGE_SECONDS_MAX // 86_400:
                continue
        row.delete()
    return found
