"""Copies of archives that this server keeps for people of others. A signed manifest is the only credential."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api.archives import BINARY, OFFSET, body_of
from server.api.auth import PUBLIC
from server.api.operations import Resource, number_in_header, operation
from server.core.errors import Invalid, NotFound, TooLarge
from server.portability import holding, manifest, vault

DIGITS_MAX = 15


class WantedSerializer(serializers.Serializer):
    """A file that is still wanted."""

    sha256 = serializers.CharField()
    bytes = serializers.IntegerField()
    received = serializers.IntegerField()


class HeldSerializer(serializers.Serializer):
    """A copy that this server keeps."""

    scid = serializers.CharField()
    manifest_sha256 = serializers.CharField()
    seq = serializers.IntegerField()
    missing = WantedSerializer(many=True)


class ReceivedSerializer(serializers.Serializer):
    """How much of a file has come."""

    received = serializers.IntegerField()


class Copies(Resource):
    """Copies that this server keeps for people of others."""

    authentication_classes = []

    @operation(
        "copies.offer",
        "Ask to keep an archive",
        body=BINARY,
        access=PUBLIC,
        answers={200: HeldSerializer},
        errors=(404, 409, 411, 507),
    )
    def post(self, request: Request) -> Response:
        """The body is the manifest. It is the only credential: a key of the identity has signed it."""
        data = body_of(request).read(manifest.MANIFEST_BYTES_MAX + 1)
        if len(data) > manifest.MANIFEST_BYTES_MAX:
            raise TooLarge("The manifest is too large.")
        return Response(_held(holding.take_manifest(data)))


def _held(held: Any) -> dict[str, Any]:
    return {
        "scid": held.scid,
        "manifest_sha256": held.manifest_sha256,
        "seq": held.seq,
        "missing": holding.missing(held),
    }


class Newest(Resource):
    """Which archive is kept of an identity."""

    authentication_classes = []

    @operation(
        "copies.newest",
        "Which archive of mine do you keep?",
        body={"application/json": {"type": "object"}},
        access=PUBLIC,
        answers={200: HeldSerializer},
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        """The body is a CopyRequest, signed by the owner's own key and addressed to this server."""
        return Response(_held(holding.newest_of(request.data)))


class Missing(Resource):
    """What a copy still lacks."""

    authentication_classes = []

    @operation("copies.missing", "What a copy still lacks", access=PUBLIC, answers={200: HeldSerializer}, errors=(404,))
    def get(self, request: Request, digest: str) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """Delta by hash: only these need to be sent."""
        return Response(_held(holding.held_as(digest)))


class HeldContent(Resource):
    """A file of a copy."""

    authentication_classes = []

    @operation(
        "copies.read",
        "Read a file of a copy",
        access=PUBLIC,
        answers={(200, "application/octet-stream"): {"type": "string", "format": "binary"}},
        errors=(404, 422),
    )
    def get(self, request: Request, digest: str, sha256: str) -> HttpResponse:
        """Up to 4 MiB from `offset` on. The manifest itself is read under its own number."""
        offset = request.query_params.get("offset", "0")
        if not (offset.isascii() and offset.isdigit() and len(offset) <= DIGITS_MAX):
            raise Invalid("offset is a whole number.", field="offset")
        data = holding.read_piece(holding.held_as(digest), _hash(sha256), int(offset))
        return HttpResponse(data, content_type="application/octet-stream", headers={"Cache-Control": "private, no-store"})

    @operation(
        "copies.send",
        "Send bytes of a file of a copy",
        body=BINARY,
        access=PUBLIC,
        answers={200: ReceivedSerializer},
        headers=(OFFSET,),
        errors=(404, 409, 411, 507),
    )
    def post(self, request: Request, digest: str, sha256: str) -> Response:
        """At most 4 MiB at a time. A file is taken because a manifest names its hash; whoever sends it does us a favour."""
        offset = number_in_header(request, "Upload-Offset")
        held = holding.held_as(digest)
        return Response({"received": holding.take_piece(held=held, sha256=_hash(sha256), offset=offset, stream=body_of(request))})


def _hash(text: str) -> str:
    if not vault.NAME.fullmatch(text):
        raise NotFound("This is not the hash of a file.")
    return text


held, newest, missing, content = Copies.as_view(), Newest.as_view(), Missing.as_view(), HeldContent.as_view()
