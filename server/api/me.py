"""The caller's own account, and who asks to follow her."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import actions, queries
from server.accounts.models import Account, Follow
from server.api import pagination
from server.api import serializers as show
from server.api.auth import me
from server.api.fields import Flag, Id, Moment, Text
from server.api.operations import Resource, operation, read
from server.core import limits
from server.core.errors import NotFound, TooLarge


class MeSerializer(show.AccountSerializer):
    """Your own account."""

    email = serializers.CharField(source="user.email", help_text="Only you see it.")
    bio = serializers.CharField(help_text="As you wrote it.")


class ProfileEditSerializer(serializers.Serializer):
    """What changes; what is not sent stays."""

    display_name = Text(required=False, allow_blank=True, max_length=limits.DISPLAY_NAME_CHARACTERS_MAX)
    bio = Text(required=False, allow_blank=True, max_length=limits.BIO_CHARACTERS_MAX)
    manually_approves_followers = Flag(required=False)


class FollowRequestSerializer(serializers.Serializer):
    """Somebody who waits for your answer."""

    id = Id(source="pk", read_only=True)
    account = show.AccountSummarySerializer(source="follower")
    created_at = Moment()


class Me(Resource):
    """Your own account."""

    @operation("me.show", "Your own account", answers={200: MeSerializer})
    def get(self, request: Request) -> Response:
        """With what only you see."""
        return Response(_show(me(request)))

    @operation("me.edit", "Change your profile", body=ProfileEditSerializer, answers={200: MeSerializer})
    def patch(self, request: Request) -> Response:
        """Other servers are told."""
        account = me(request)
        sent = read(ProfileEditSerializer, request.data)
        words = {"display_name": account.display_name, "bio": account.bio}
        actions.update_profile(account=account, by=account, **{**words, **sent})
        return Response(_show(account))


class Avatar(Resource):
    """Your picture."""

    @operation(
        "me.avatar",
        "Change your picture",
        body={"application/octet-stream": {"type": "string", "format": "binary"}},
        answers={200: MeSerializer},
    )
    def put(self, request: Request) -> Response:
        """The bytes of a JPEG, PNG or WebP file as the body. It is cropped square and written anew, without metadata."""
        account = me(request)
        data = request._request.read(limits.AVATAR_BYTES_MAX + 1)
        if len(data) > limits.AVATAR_BYTES_MAX:
            raise TooLarge(f"A profile picture may have at most {limits.AVATAR_BYTES_MAX // limits.MIB} MiB.", field="avatar")
        actions.update_profile(account=account, by=account, display_name=account.display_name, bio=account.bio, avatar=data)
        return Response(_show(account))


class FollowRequests(Resource):
    """Who asks to follow you."""

    @operation(
        "follow_requests.list",
        "Who waits for your answer, the newest first",
        query=pagination.PageQuery,
        answers={200: pagination.page_of(FollowRequestSerializer)},
    )
    def get(self, request: Request) -> Response:
        """Empty unless you approve followers by hand."""
        rows = queries.follow_requests(me(request))
        return pagination.answer(request, rows, pagination.NEWEST, _show_requests)


class Accept(Resource):
    """Yes."""

    @operation("follow_requests.accept", "Let somebody follow you", answers={204: None}, errors=(404,))
    def post(self, request: Request, follow_id: int) -> Response:
        """She is told."""
        actions.answer_follow(follow=_request(me(request), follow_id), by=me(request), accept=True)
        return Response(status=204)


class Reject(Resource):
    """No."""

    @operation("follow_requests.reject", "Do not let somebody follow you", answers={204: None}, errors=(404,))
    def post(self, request: Request, follow_id: int) -> Response:
        """She is told."""
        actions.answer_follow(follow=_request(me(request), follow_id), by=me(request), accept=False)
        return Response(status=204)


def _show(account: Account) -> object:
    return MeSerializer(account, context={"viewer": account}).data


def _show_requests(found: list[Follow]) -> list[dict[str, Any]]:
    return list(FollowRequestSerializer(found, many=True).data)


def _request(account: Account, follow_id: int) -> Follow:
    found = queries.follow_requests(account).filter(pk=follow_id).first()
    if found is None:
        raise NotFound("There is no such request.")
    return found


one = Me.as_view()
avatar = Avatar.as_view()
follow_requests = FollowRequests.as_view()
accept = Accept.as_view()
reject = Reject.as_view()
