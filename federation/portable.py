"""What an account has published, in the form in which other servers get it: for its archive, which may not import this door."""

from collections.abc import Iterator

from federation import announcing, published
from federation.wire.json import JsonObject
from server.accounts.models import Account
from server.videos import states
from server.videos.models import Comment, Share, Video

ROWS_AT_ONCE = 200


def actor(account: Account) -> JsonObject:
    """The actor document."""
    return published.person(account)


def outbox(account: Account) -> Iterator[JsonObject]:
    """Every activity that stands, the oldest first of each kind: videos, comments, shares."""
    videos = Video.objects.filter(account=account, is_local=True, state=states.PUBLISHED)
    for video in videos.select_related("account").order_by("pk").iterator(ROWS_AT_ONCE):
        yield published.create_video(video)
    comments = Comment.objects.filter(account=account, is_local=True, deleted_at=None)
    related = ("account", "video__account", "parent__account")
    for comment in comments.select_related(*related).order_by("pk").iterator(ROWS_AT_ONCE):
        yield published.create_comment(comment)
    shares = Share.objects.filter(account=account).select_related("account", "video__account")
    for share in shares.order_by("pk").iterator(ROWS_AT_ONCE):
        yield announcing.announce(share.uri, account, share.video)
