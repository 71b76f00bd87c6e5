"""What people say under a video."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.models import Account
from server.api import lookups, pagination
from server.api import serializers as show
from server.api.auth import PUBLIC, me, viewer
from server.api.fields import Id, Text
from server.api.operations import Resource, operation, read
from server.core import limits
from server.core.errors import Invalid
from server.videos import actions, queries
from server.videos.models import Comment, Video


class CommentWriteSerializer(serializers.Serializer):
    """A new comment."""

    text = Text(max_length=limits.COMMENT_CHARACTERS_MAX, trim_whitespace=False)
    parent_id = Id(required=False, allow_null=True, help_text="The comment this one answers.")


class Comments(Resource):
    """The comments of a video."""

    @operation(
        "comments.list",
        "The comments of a video, the oldest first",
        access=PUBLIC,
        query=pagination.PageQuery,
        answers={200: pagination.page_of(show.CommentSerializer)},
        errors=(404,),
    )
    def get(self, request: Request, video_id: int) -> Response:
        """`parent_id` makes the thread. People you block or mute are left out."""
        thread = queries.thread(lookups.video(video_id, viewer(request)), viewer(request))
        return pagination.answer(request, thread, pagination.OLDEST, show.comments)

    @operation(
        "comments.write", "Comment on a video", body=CommentWriteSerializer, answers={201: show.CommentSerializer}, errors=(404,)
    )
    def post(self, request: Request, video_id: int) -> Response:
        """Also on videos of other servers, which are told."""
        video = lookups.video(video_id, me(request))
        sent = read(CommentWriteSerializer, request.data)
        parent = _parent(video, me(request), sent["parent_id"]) if sent.get("parent_id") else None
        made = actions.comment(video=video, by=me(request), text=sent["text"], parent=parent)
        return Response(show.comments([made])[0], status=201)


class CommentResource(Resource):
    """One comment."""

    @operation("comments.delete", "Delete a comment", answers={204: None}, errors=(404,))
    def delete(self, request: Request, comment_id: int) -> Response:
        """Your own, or any under a video of yours."""
        actions.delete_comment(comment=lookups.comment(comment_id, me(request)), by=me(request))
        return Response(status=204)


def _parent(video: Video, who: Account, parent_id: str) -> Comment:
    found = queries.thread(video, who).filter(pk=parent_id, deleted_at=None).first()
    if found is None:
        raise Invalid("There is no such comment under this video.", field="parent_id")
    return found


of_video = Comments.as_view()
one = CommentResource.as_view()
