"""A file comes in: start, send the bytes (in one or many pieces), finish. The first hop of the walk from upload to federation."""

from typing import BinaryIO, cast
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api import lookups
from server.api import serializers as show
from server.api.auth import me
from server.api.fields import Flag, Number, Text
from server.api.operations import Resource, number_in_header, operation, read
from server.core import limits
from server.core.errors import Invalid
from server.videos import actions
from server.videos.drafts import VideoDraft

OFFSET = OpenApiParameter(
    "Upload-Offset",
    {"type": "integer", "minimum": 0},
    OpenApiParameter.HEADER,
    required=True,
    description="Where these bytes begin; must be `bytes_received` of the upload.",
)


@extend_schema_field({"type": "string", "maxLength": 255, "pattern": r"\.([mM][pP]4|[mM][oO][vV]|[wW][eE][bB][mM])$"})
class Filename(Text):
    """The name of a file that may be uploaded."""


class UploadStartSerializer(serializers.Serializer):
    """The file that will come."""

    filename = Filename(max_length=255, help_text="Ends in .mp4, .mov or .webm.")
    bytes = Number(min_value=0, max_value=2**53 - 1, help_text="The size of the file.")


class DraftSerializer(serializers.Serializer):
    """What you say about the new video; everything is optional."""

    caption = Text(required=False, allow_blank=True, trim_whitespace=False, max_length=limits.CAPTION_CHARACTERS_MAX)
    alt_text = Text(required=False, allow_blank=True, trim_whitespace=False, max_length=limits.ALT_TEXT_CHARACTERS_MAX)
    language = Text(required=False, allow_blank=True, max_length=20, help_text="A BCP 47 tag such as `en` or `pt-BR`.")
    sensitive = Flag(required=False)
    visibility = serializers.ChoiceField(choices=["public", "unlisted"], required=False)
    comments_open = Flag(required=False)
    publish_when_ready = Flag(required=False, help_text="False keeps it to yourself until you publish it.")


class Uploads(Resource):
    """Uploads."""

    @operation(
        "uploads.start",
        "Announce a file",
        body=UploadStartSerializer,
        answers={201: show.UploadSerializer},
        errors=(409, 507),
    )
    def post(self, request: Request) -> Response:
        """Reserve room for a file of that size. Then send its bytes with `PUT uploads/{id}/content`."""
        sent = read(UploadStartSerializer, request.data)
        made = actions.start_upload(account=me(request), filename=sent["filename"], bytes_expected=sent["bytes"])
        return Response(show.upload(made), status=201)


class Upload(Resource):
    """One upload."""

    @operation("uploads.show", "How far an upload is", answers={200: show.UploadSerializer}, errors=(404,))
    def get(self, request: Request, upload_id: UUID) -> Response:
        """After a broken connection `bytes_received` says where to go on."""
        return Response(show.upload(lookups.upload(upload_id, me(request))))


class Content(Resource):
    """The bytes of an upload."""

    @operation(
        "uploads.append",
        "Send bytes",
        body={"application/octet-stream": {"type": "string", "format": "binary"}},
        answers={200: show.UploadSerializer},
        headers=(OFFSET,),
        errors=(404, 409, 411, 507),
    )
    def put(self, request: Request, upload_id: UUID) -> Response:
        """Send the raw bytes as the body, with `Content-Length`, all at once or in pieces.

        What arrived before a broken connection is kept. The body goes to the disk as it comes, never whole into memory.
        """
        upload = lookups.upload(upload_id, me(request))
        offset = number_in_header(request, "Upload-Offset")
        # Django reads nothing of a body that does not say its length.
        if "Content-Length" not in request.headers or "Transfer-Encoding" in request.headers:
            raise LengthRequired
        # The request itself is the stream; the parsers of the framework never see it.
        stream = cast(BinaryIO, request._request)
        return Response(show.upload(actions.append_upload(upload=upload, by=me(request), offset=offset, stream=stream)))


class LengthRequired(Invalid):
    """Say how long the body is (Content-Length)."""

    code, status = "length_required", 411


class Finish(Resource):
    """The end of an upload."""

    @operation("uploads.finish", "Make the video", body=DraftSerializer, answers={202: show.VideoSerializer}, errors=(404, 409))
    def post(self, request: Request, upload_id: UUID) -> Response:
        """All bytes are here: the video is made and waits to be transcoded. Finishing twice gives the same video."""
        upload = lookups.upload(upload_id, me(request))
        draft = VideoDraft(**read(DraftSerializer, request.data))
        video = actions.finish_upload(upload=upload, by=me(request), draft=draft)
        return Response(show.video(video, me(request)), status=202)


start = Uploads.as_view()
upload = Upload.as_view()
append = Content.as_view()
finish = Finish.as_view()
