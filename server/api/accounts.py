"""People: profiles, their videos, who follows whom, and what you do about them."""

from collections.abc import Callable

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import actions, queries
from server.accounts.models import Account, Block, Follow, Mute
from server.api import lookups, pagination
from server.api import serializers as show
from server.api.auth import PUBLIC, me, viewer
from server.api.operations import Resource, operation
from server.api.pagination import Row
from server.videos import queries as videos

PEOPLE = pagination.page_of(show.AccountSummarySerializer)


class AccountResource(Resource):
    """One account."""

    @operation("accounts.show", "A profile", access=PUBLIC, answers={200: show.AccountSerializer}, errors=(404,))
    def get(self, request: Request, acct: str) -> Response:
        """By address (`alice`, `bob@peer.example`) or by id."""
        return Response(show.account(lookups.account(acct), viewer(request)))


class AccountVideos(Resource):
    """The videos of an account."""

    @operation(
        "accounts.videos",
        "Somebody's videos, the last published first",
        access=PUBLIC,
        query=pagination.PageQuery,
        answers={200: pagination.page_of(show.VideoSerializer)},
        errors=(404,),
    )
    def get(self, request: Request, acct: str) -> Response:
        """The public ones."""
        rows = videos.visible_to(viewer(request)).filter(account=lookups.account(acct))
        return pagination.answer(request, rows, pagination.LAST_PUBLISHED, lambda found: show.video_list(found, viewer(request)))


class Followers(Resource):
    """Who follows an account."""

    @operation(
        "accounts.followers",
        "Who follows an account, the newest first",
        access=PUBLIC,
        query=pagination.PageQuery,
        answers={200: PEOPLE},
        errors=(404,),
    )
    def get(self, request: Request, acct: str) -> Response:
        """As far as this server knows."""
        rows = Follow.objects.filter(target=lookups.account(acct), state="accepted").select_related("follower")
        rows = rows.filter(follower__deleted_at=None, follower__suspended_at=None)
        return _people(request, rows, lambda row: row.follower)


class Following(Resource):
    """Whom an account follows."""

    @operation(
        "accounts.following",
        "Whom an account follows, the newest first",
        access=PUBLIC,
        query=pagination.PageQuery,
        answers={200: PEOPLE},
        errors=(404,),
    )
    def get(self, request: Request, acct: str) -> Response:
        """As far as this server knows."""
        rows = Follow.objects.filter(follower=lookups.account(acct), state="accepted").select_related("target")
        rows = rows.filter(target__deleted_at=None, target__suspended_at=None)
        return _people(request, rows, lambda row: row.target)


class Relations(Resource):
    """What the caller does about an account: each PUT makes it so, each DELETE takes it back, twice is once."""

    def answer(self, request: Request, target: Account) -> Response:
        """How the caller stands to ``target`` now."""
        return Response(show.RelationshipSerializer(queries.relationship(me(request), target)).data)


class FollowAccount(Relations):
    """Your follow."""

    @operation("accounts.follow", "Follow somebody", answers={200: show.RelationshipSerializer}, errors=(404, 422))
    def put(self, request: Request, acct: str) -> Response:
        """`requested` instead of `following` while the other side has not accepted."""
        target = lookups.account(acct)
        actions.follow(follower=me(request), target=target)
        return self.answer(request, target)

    @operation("accounts.unfollow", "No longer follow somebody", answers={200: show.RelationshipSerializer}, errors=(404,))
    def delete(self, request: Request, acct: str) -> Response:
        """Not following is no error."""
        target = lookups.account(acct)
        actions.unfollow(follower=me(request), target=target)
        return self.answer(request, target)


class BlockAccount(Relations):
    """Your block."""

    @operation("accounts.block", "Block somebody", answers={200: show.RelationshipSerializer}, errors=(404, 422))
    def put(self, request: Request, acct: str) -> Response:
        """Follows between you end; neither sees the other's videos and comments."""
        target = lookups.account(acct)
        actions.block(account=me(request), target=target)
        return self.answer(request, target)

    @operation("accounts.unblock", "Take a block back", answers={200: show.RelationshipSerializer}, errors=(404,))
    def delete(self, request: Request, acct: str) -> Response:
        """The follows it ended stay ended."""
        target = lookups.account(acct)
        actions.unblock(account=me(request), target=target)
        return self.answer(request, target)


class MuteAccount(Relations):
    """Your mute."""

    @operation("accounts.mute", "Mute somebody", answers={200: show.RelationshipSerializer}, errors=(404, 422))
    def put(self, request: Request, acct: str) -> Response:
        """You no longer see her in lists; she never learns of it."""
        target = lookups.account(acct)
        actions.mute(account=me(request), target=target)
        return self.answer(request, target)

    @operation("accounts.unmute", "Take a mute back", answers={200: show.RelationshipSerializer}, errors=(404,))
    def delete(self, request: Request, acct: str) -> Response:
        """Not muting is no error."""
        target = lookups.account(acct)
        actions.unmute(account=me(request), target=target)
        return self.answer(request, target)


class Blocks(Resource):
    """Whom you block."""

    @operation("accounts.blocks", "Whom you block", query=pagination.PageQuery, answers={200: PEOPLE})
    def get(self, request: Request) -> Response:
        """The newest first."""
        return _people(request, Block.objects.filter(account=me(request)).select_related("target"), lambda row: row.target)


class Mutes(Resource):
    """Whom you mute."""

    @operation("accounts.mutes", "Whom you mute", query=pagination.PageQuery, answers={200: PEOPLE})
    def get(self, request: Request) -> Response:
        """The newest first."""
        return _people(request, Mute.objects.filter(account=me(request)).select_related("target"), lambda row: row.target)


def _people(request: Request, rows: "QuerySet[Row]", who: Callable[[Row], Account]) -> Response:
    return pagination.answer(request, rows, pagination.NEWEST, lambda found: show.people([who(row) for row in found]))


one = AccountResource.as_view()
of_account = AccountVideos.as_view()
followers = Followers.as_view()
following = Following.as_view()
follow = FollowAccount.as_view()
block = BlockAccount.as_view()
mute = MuteAccount.as_view()
blocks = Blocks.as_view()
mutes = Mutes.as_view()
