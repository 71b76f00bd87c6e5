"""Videos: lists, one, its life, and what people do with it."""

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api import lookups, pagination
from server.api import serializers as show
from server.api.auth import PUBLIC, me, viewer
from server.api.fields import Flag, Number, Text
from server.api.operations import Resource, operation, read
from server.core import limits
from server.core.errors import NotAuthenticated
from server.feed import actions as feed
from server.videos import actions, captions, queries, states
from server.videos.models import Video

DAY_MS = 24 * 3600 * 1000


class VideoQuery(pagination.PageQuery):
    """Which videos."""

    account = serializers.CharField(required=False, max_length=600, help_text="By this account (address or id).")
    tag = serializers.CharField(required=False, max_length=limits.HASHTAG_CHARACTERS_MAX, help_text="With this hashtag.")
    mine = serializers.BooleanField(required=False, help_text="Only your own, in every state.")
    state = serializers.ChoiceField(choices=states.STATES[:-1], required=False, help_text="Together with `mine`.")


class VideoEditSerializer(serializers.Serializer):
    """What changes; what is not sent stays."""

    caption = Text(required=False, allow_blank=True, trim_whitespace=False, max_length=limits.CAPTION_CHARACTERS_MAX)
    alt_text = Text(required=False, allow_blank=True, trim_whitespace=False, max_length=limits.ALT_TEXT_CHARACTERS_MAX)
    sensitive = Flag(required=False)
    comments_open = Flag(required=False)


class ViewSerializer(serializers.Serializer):
    """How long it was watched."""

    watched_ms = Number(min_value=0, max_value=DAY_MS)


class Videos(Resource):
    """Videos."""

    @operation(
        "videos.list",
        "Videos, the last published first",
        access=PUBLIC,
        query=VideoQuery,
        answers={200: pagination.page_of(show.VideoSerializer)},
        errors=(404,),
    )
    def get(self, request: Request) -> Response:
        """Public videos of this server and of others it knows. With `mine=true` your own, in every state, newest first."""
        query = read(VideoQuery, request.query_params.dict())
        who = viewer(request)
        if query.get("mine"):
            if not request.user.is_authenticated:
                raise NotAuthenticated("Sign in to see your own videos.")
            own = Video.objects.filter(account=me(request)).exclude(state=states.DELETED).select_related("account")
            rows = own.filter(state=query["state"]) if "state" in query else own
            return self._answer(request, rows, pagination.NEWEST)
        rows = queries.visible_to(who)
        if "account" in query:
            rows = rows.filter(account=lookups.account(query["account"]))
        if "tag" in query:
            rows = rows.filter(hashtags__name=captions.tag_name(query["tag"]) or "")
        return self._answer(request, rows, pagination.LAST_PUBLISHED)

    def _answer(self, request: Request, rows: QuerySet[Video], order: pagination.Order) -> Response:
        return pagination.answer(request, rows, order, lambda found: show.video_list(found, viewer(request)))


class VideoResource(Resource):
    """One video."""

    @operation("videos.show", "One video", access=PUBLIC, answers={200: show.VideoSerializer}, errors=(404,))
    def get(self, request: Request, video_id: int) -> Response:
        """A published video; your own also before it is published."""
        return Response(show.video(lookups.video(video_id, viewer(request)), viewer(request)))

    @operation(
        "videos.edit", "Change the words", body=VideoEditSerializer, answers={200: show.VideoSerializer}, errors=(404, 409)
    )
    def patch(self, request: Request, video_id: int) -> Response:
        """Only your own. Other servers are told."""
        video = lookups.video(video_id, me(request))
        actions.edit(video=video, by=me(request), **read(VideoEditSerializer, request.data))
        return Response(show.video(lookups.video(video_id, me(request)), me(request)))

    @operation("videos.delete", "Delete for good", answers={204: None}, errors=(404, 409))
    def delete(self, request: Request, video_id: int) -> Response:
        """Only your own. Other servers are told; the files go soon after."""
        actions.delete(video=lookups.video(video_id, me(request)), by=me(request))
        return Response(status=204)


class Publish(Resource):
    """Making a video public."""

    @operation("videos.publish", "Publish a ready video", answers={200: show.VideoSerializer}, errors=(404, 409))
    def post(self, request: Request, video_id: int) -> Response:
        """Other servers are told."""
        video = lookups.video(video_id, me(request))
        actions.publish(video=video, by=me(request))
        return Response(show.video(video, me(request)))


class Unpublish(Resource):
    """Taking a video back."""

    @operation("videos.unpublish", "Take a published video back", answers={200: show.VideoSerializer}, errors=(404, 409))
    def post(self, request: Request, video_id: int) -> Response:
        """You keep it and may publish it again."""
        video = lookups.video(video_id, me(request))
        actions.unpublish(video=video, by=me(request))
        return Response(show.video(video, me(request)))


class Retry(Resource):
    """Trying a failed transcode again."""

    @operation("videos.retry", "Try a failed transcode again", answers={202: show.VideoSerializer}, errors=(404, 409))
    def post(self, request: Request, video_id: int) -> Response:
        """As long as the uploaded file is kept."""
        video = lookups.video(video_id, me(request))
        actions.retry_transcode(video=video, by=me(request))
        return Response(show.video(video, me(request)), status=202)


class Like(Resource):
    """Your like."""

    @operation("videos.like", "Like a video", answers={204: None}, errors=(404,))
    def put(self, request: Request, video_id: int) -> Response:
        """Twice is once."""
        actions.like(video=lookups.video(video_id, me(request)), by=me(request))
        return Response(status=204)

    @operation("videos.unlike", "Take a like back", answers={204: None}, errors=(404,))
    def delete(self, request: Request, video_id: int) -> Response:
        """No like is no error."""
        actions.unlike(video=lookups.video(video_id, me(request)), by=me(request))
        return Response(status=204)


class Share(Resource):
    """Passing a video on."""

    @operation("videos.share", "Pass a video on to your followers", answers={204: None}, errors=(404,))
    def put(self, request: Request, video_id: int) -> Response:
        """Twice is once."""
        actions.share(video=lookups.video(video_id, me(request)), by=me(request))
        return Response(status=204)

    @operation("videos.unshare", "Take a share back", answers={204: None}, errors=(404,))
    def delete(self, request: Request, video_id: int) -> Response:
        """No share is no error."""
        actions.unshare(video=lookups.video(video_id, me(request)), by=me(request))
        return Response(status=204)


class Views(Resource):
    """Watching."""

    @operation(
        "videos.view", "Say how long a video was watched", access=PUBLIC, body=ViewSerializer, answers={204: None}, errors=(404,)
    )
    def post(self, request: Request, video_id: int) -> Response:
        """Counts from five seconds, or half of a shorter video. With an account the feed will not show it again soon."""
        who = viewer(request)
        video = lookups.video(video_id, who)
        watched_ms = read(ViewSerializer, request.data)["watched_ms"]
        actions.count_view(video=video, viewer=who, watched_ms=watched_ms)
        if who is not None:
            feed.mark_seen(account=who, video=video, watched_ms=watched_ms)
        return Response(status=204)


many = Videos.as_view()
one = VideoResource.as_view()
publish = Publish.as_view()
unpublish = Unpublish.as_view()
retry = Retry.as_view()
like = Like.as_view()
share = Share.as_view()
views = Views.as_view()
