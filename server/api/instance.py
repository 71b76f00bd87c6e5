"""What a client needs to know of this server before it signs in."""

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api.auth import PUBLIC
from server.api.operations import Resource, operation
from server.core import limits
from server.videos.uploads import EXTENSIONS


class LimitsSerializer(serializers.Serializer):
    """How large and how long things may be."""

    upload_bytes = serializers.IntegerField()
    upload_extensions = serializers.ListField(child=serializers.CharField())
    video_seconds = serializers.IntegerField()
    caption_characters = serializers.IntegerField()
    alt_text_characters = serializers.IntegerField()
    comment_characters = serializers.IntegerField()
    page_count = serializers.IntegerField()


class InstanceSerializer(serializers.Serializer):
    """This server."""

    host = serializers.CharField()
    origin = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    contact_email = serializers.CharField()
    registration_open = serializers.BooleanField()
    api_version = serializers.CharField()
    limits = LimitsSerializer()


class Instance(Resource):
    """This server."""

    @operation("instance.show", "This server and its limits", access=PUBLIC, answers={200: InstanceSerializer})
    def get(self, request: Request) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """The counts stand in NodeInfo (`/nodeinfo/2.1`)."""
        return Response(
            {
                "host": settings.HOST,
                "origin": settings.ORIGIN,
                "name": settings.INSTANCE_NAME,
                "description": settings.INSTANCE_DESCRIPTION,
                "contact_email": settings.CONTACT_EMAIL,
                "registration_open": settings.REGISTRATION_OPEN,
                "api_version": settings.SPECTACULAR_SETTINGS["VERSION"],
                "limits": {
                    "upload_bytes": settings.UPLOAD_BYTES_MAX,
                    "upload_extensions": EXTENSIONS,
                    "video_seconds": settings.VIDEO_SECONDS_MAX,
                    "caption_characters": limits.CAPTION_CHARACTERS_MAX,
                    "alt_text_characters": limits.ALT_TEXT_CHARACTERS_MAX,
                    "comment_characters": limits.COMMENT_CHARACTERS_MAX,
                    "page_count": limits.PAGE_COUNT_MAX,
                },
            }
        )


show = Instance.as_view()
