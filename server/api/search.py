"""Search: people by name or address, also on servers we never met; hashtags; captions."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import actions, addresses
from server.accounts import queries as accounts
from server.accounts.models import Account
from server.api import serializers as show
from server.api.auth import PUBLIC, viewer
from server.api.operations import Resource, operation, read
from server.core.errors import Invalid, NotAuthenticated, TributaryError
from server.videos import captions, queries
from server.videos.models import Hashtag, Video

COUNT = 20


class SearchQuery(serializers.Serializer):
    """What to look for."""

    q = serializers.CharField(max_length=300, help_text="Words, `#tag`, a handle or an address such as `@bob@peer.example`.")
    resolve = serializers.BooleanField(
        required=False, help_text="Ask the server of an unknown address. Needs an account, and may take seconds."
    )


class SearchResultSerializer(serializers.Serializer):
    """What was found, at most 20 of each kind."""

    accounts = show.AccountSummarySerializer(many=True)
    hashtags = serializers.ListField(child=serializers.CharField())
    videos = show.VideoSerializer(many=True)


class Search(Resource):
    """Search."""

    @operation(
        "search.all", "Look for people, tags and videos", access=PUBLIC, query=SearchQuery, answers={200: SearchResultSerializer}
    )
    def get(self, request: Request) -> Response:
        """A server that cannot be asked is no error: then only what is known here is found."""
        query = read(SearchQuery, request.query_params.dict())
        who = viewer(request)
        if query.get("resolve") and who is None:
            raise NotAuthenticated("Sign in to look for people on other servers.")
        words = query["q"]
        return Response(
            {
                "accounts": show.people(_people(words, resolve=bool(query.get("resolve")))),
                "hashtags": _tags(words),
                "videos": show.video_list(_videos(words, who), who),
            }
        )


def _people(words: str, *, resolve: bool) -> list[Account]:
    try:
        addresses.parse_address(words)
        if resolve:
            return [actions.discover_account(address=words)]
    except Invalid:
        pass
    except TributaryError:
        return list(accounts.search(words)[:COUNT])
    return list(accounts.search(words)[:COUNT])


def _tags(words: str) -> list[str]:
    name = captions.tag_name(words)
    if not name:
        return []
    used = Hashtag.objects.filter(name__startswith=name, videos__in=queries.visible_to(None))
    return list(used.distinct().order_by("name").values_list("name", flat=True)[:COUNT])


def _videos(words: str, who: Account | None) -> list[Video]:
    rows = queries.visible_to(who)
    name = captions.tag_name(words) if words.startswith("#") else None
    rows = rows.filter(hashtags__name=name) if name else rows.filter(caption__icontains=words)
    return list(rows.order_by("-published_at", "-id")[:COUNT])


find = Search.as_view()
