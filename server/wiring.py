"""The one page that says who is told what, which queue works which rows, and what runs by the clock."""

from collections.abc import Callable, Mapping

from federation import arriving, delivery, identities, inbox, migration, outbox
from federation.facts import ActivityReceived
from payouts import accounts_root, audit, cosigning, gossip, metering, mirror, peers, recovery, selfcheck, witness_policy
from payouts import identities as ledger_identities
from payouts.facts import CheckpointSigned, NoteHeard, PeriodClosed
from server.accounts import moving
from server.accounts.facts import (
    AccountArrived,
    AccountDeleted,
    AccountMoved,
    AccountUpdated,
    FollowAnswered,
    FollowersKnown,
    FollowRequested,
    FollowWithdrawn,
    MoveSigned,
    PostsMoved,
)
from server.core.facts import Fact, Subscriber
from server.identity import replicas, resolving
from server.identity.facts import CopyDue, ForkDue, ForkFound, HeadsDue, HomeMoved, IdentityChanged, LogAnnounced
from server.portability import actions as archives
from server.portability import copies, holding, imports, incoming, making, settling
from server.portability.facts import ArchiveMade, ArchiveTurn, CopyTurn, ImportTurn
from server.sponsors import actions as sponsors
from server.videos import jobs, viewing
from server.videos.facts import (
    CommentAdded,
    CommentDeleted,
    LikeAdded,
    LikeRemoved,
    ShareAdded,
    ShareRemoved,
    UploadFinished,
    VideoDeleted,
    VideoEdited,
    VideoPublished,
    VideoUnpublished,
    ViewCounted,
)


def _federation(function: Callable[..., None]) -> Subscriber:
    return Subscriber(function=function, queue="federation")


def _ledger(function: Callable[..., None]) -> Subscriber:
    return Subscriber(function=function, queue="ledger")


SUBSCRIBERS: Mapping[type[Fact], list[Subscriber]] = {
    UploadFinished: [Subscriber(function=jobs.transcode, queue="transcode", atomic=False, lease_seconds=20, tries_max=5)],
    VideoPublished: [_federation(outbox.announce_video)],
    VideoUnpublished: [_federation(outbox.delete_video)],
    VideoEdited: [_federation(outbox.update_video)],
    VideoDeleted: [
        _federation(outbox.delete_video),
        Subscriber(function=jobs.forget_files, atomic=False),
        Subscriber(function=archives.forget_original),
    ],
    CommentAdded: [_federation(outbox.announce_comment)],
    CommentDeleted: [_federation(outbox.delete_comment)],
    LikeAdded: [_federation(outbox.announce_like)],
    LikeRemoved: [_federation(outbox.undo_like)],
    ShareAdded: [_federation(outbox.announce_share)],
    ShareRemoved: [_federation(outbox.undo_share)],
    FollowRequested: [
        _federation(outbox.request_follow),
        Subscriber(function=identities.learn, queue="federation", atomic=False),
    ],
    FollowAnswered: [_federation(outbox.answer_follow)],
    FollowWithdrawn: [_federation(outbox.withdraw_follow)],
    AccountUpdated: [_federation(outbox.update_account)],
    AccountDeleted: [
        _federation(outbox.delete_account),
        Subscriber(function=jobs.forget_closed_account, atomic=False),
        Subscriber(function=archives.forget_originals),
    ],
    IdentityChanged: [
        Subscriber(function=identities.follow_the_log, queue="federation", atomic=False),
        _ledger(ledger_identities.log_identity),
        _federation(replicas.spread),
    ],
    LogAnnounced: [Subscriber(function=resolving.fetch_announced, queue="federation", atomic=False, tries_max=3)],
    CopyDue: [Subscriber(function=replicas.send_copy, queue="federation", atomic=False)],
    HeadsDue: [Subscriber(function=replicas.send_heads, queue="federation", atomic=False, tries_max=3)],
    ForkFound: [_federation(replicas.spread_fork)],
    ForkDue: [Subscriber(function=replicas.send_fork, queue="federation", atomic=False)],
    HomeMoved: [Subscriber(function=moving.note_left, queue="federation", atomic=False)],
    AccountMoved: [_federation(outbox.announce_move)],
    AccountArrived: [Subscriber(function=arriving.tell_followers, queue="federation", atomic=False)],
    MoveSigned: [_federation(arriving.send_signed)],
    FollowersKnown: [Subscriber(function=arriving.tell_followers, queue="federation", atomic=False)],
    PostsMoved: [_federation(migration.note_moved)],
    CheckpointSigned: [Subscriber(function=cosigning.push, queue="ledger", atomic=False)],
    NoteHeard: [Subscriber(function=gossip.judge, queue="ledger", atomic=False)],
    PeriodClosed: [],
    ViewCounted: [Subscriber(function=metering.on_view, queue="ledger")],
    ArchiveTurn: [Subscriber(function=making.make, atomic=False)],
    ArchiveMade: [Subscriber(function=archives.forget_old), Subscriber(function=copies.spread)],
    CopyTurn: [Subscriber(function=copies.push, atomic=False)],
    ImportTurn: [Subscriber(function=imports.run, atomic=False), Subscriber(function=settling.attend)],
    ActivityReceived: [Subscriber(function=inbox.handle, queue="federation", atomic=False)],
}

# Rows of other tables that the workers of a queue claim themselves: (work off what is due, is anything due?).
ROWS: Mapping[str, list[tuple[Callable[[], object], Callable[[], bool]]]] = {
    "federation": [(delivery.send_due, delivery.any_due)],
}

# What runs by the clock: name -> (function, every so many seconds).
CHORES: Mapping[str, tuple[Callable[[], object], float]] = {
    "forget_old_signatures": (inbox.forget_old_signatures, 3600.0),
    "forget_old_deliveries": (delivery.forget_old, 3600.0),
    "forget_abandoned_uploads": (jobs.forget_abandoned_uploads, 3600.0),
    "check_silent_homes": (resolving.check_silent_homes, 600.0),
    "tend_copies": (replicas.tend, 600.0),
    "send_outbox_heads": (replicas.due_heads, 60.0),
    "learn_moved_posts": (migration.learn_due, 600.0),
    "give_missing_identities": (moving.give_missing_identities, 60.0),
    "count_moves_sent": (arriving.count_sent, 10.0),
    "give_identity_proofs": (moving.give_identity_proofs, 60.0),
    "forget_old_offers": (sponsors.forget_old_offers, 3600.0),
    "forget_old_view_marks": (viewing.forget_old_marks, 3600.0),
    "fail_given_up_transcodes": (jobs.fail_given_up, 300.0),
    "refresh_peers": (peers.refresh_all, 60.0),
    "mirror_peers": (mirror.mirror_all, 60.0),
    "audit_peers": (audit.audit_all, 300.0),
    "compare_peers": (gossip.compare_with_peers, 60.0),
    "make_daily_archives": (archives.make_daily, 600.0),
    "fail_given_up_archives": (archives.fail_given_up, 300.0),
    "fail_given_up_imports": (imports.fail_given_up, 300.0),
    "let_go_checked": (settling.let_go_checked, 60.0),
    "forget_abandoned_imports": (incoming.forget_abandoned, 3600.0),
    "forget_unfinished_copies": (holding.forget_unfinished, 3600.0),
    "retry_follows": (imports.retry_follows, 3600.0),
    "sweep_vault": (archives.sweep_vault, 3600.0),
    # A change of witnesses stands in the log within a minute.
    "log_witness_policy": (witness_policy.log_policy, 60.0),
    # What was signed is published within ten seconds, also when its writer was killed in between.
    "publish_log": (recovery.finish_append, 10.0),
    "recover_ledger": (recovery.recover_if_suspended, 60.0),
    # Written once a day however often it is asked for.
    "commit_accounts": (accounts_root.commit_today, 3600.0),
    "selfcheck": (selfcheck.run_hourly, 3600.0),
}
