"""The feed."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api import pagination
from server.api import serializers as show
from server.api.auth import PUBLIC, viewer
from server.api.operations import Resource, operation, read
from server.core.errors import NotAuthenticated
from server.feed import queries


class FeedQuery(pagination.PageQuery):
    """Which part of the feed."""

    tab = serializers.ChoiceField(choices=queries.TABS, required=False, default=queries.TABS[0])


class Feed(Resource):
    """The feed."""

    @operation(
        "feed.page",
        "The next videos to watch",
        access=PUBLIC,
        query=FeedQuery,
        answers={200: pagination.page_of(show.VideoSerializer)},
    )
    def get(self, request: Request) -> Response:
        """Follow `next`; there is no way back (`previous` is null). `following` needs an account."""
        query = read(FeedQuery, request.query_params.dict())
        who = viewer(request)
        if query["tab"] == "following" and who is None:
            raise NotAuthenticated("Sign in to see the videos of those you follow.")
        page = queries.page(viewer=who, tab=query["tab"], cursor=query.get("cursor"), count=query["count"])
        following = pagination.link(request, page.next_cursor) if page.next_cursor else None
        return Response({"results": show.video_list(page.videos, who), "next": following, "previous": None})


page = Feed.as_view()
