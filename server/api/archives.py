"""Archives and imports of the caller, and where copies of her archive are."""

from typing import Any, BinaryIO, cast

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api import pagination
from server.api.auth import me
from server.api.fields import Id, Moment, Number, Text
from server.api.operations import Resource, number_in_header, operation, read
from server.api.uploads import LengthRequired
from server.core.errors import Invalid, NotFound
from server.portability import actions, copies, csvs, download, incoming, queries
from server.portability.models import Archive, Import, ImportItem, Replica
from server.portability.parts import table

BINARY = {"application/octet-stream": {"type": "string", "format": "binary"}}
OFFSET = OpenApiParameter("Upload-Offset", {"type": "integer", "minimum": 0}, OpenApiParameter.HEADER, required=True)
TAR = {(200, "application/x-tar"): {"type": "string", "format": "binary"}}


class ArchiveSerializer(serializers.Serializer):
    """An archive of your account."""

    id = Id(source="pk", read_only=True)
    kind = serializers.ChoiceField(choices=Archive.KINDS)
    state = serializers.ChoiceField(choices=Archive.STATES)
    permille = serializers.IntegerField(help_text="How far it is, of 1000.")
    failure = serializers.CharField()
    seq = serializers.IntegerField(allow_null=True, help_text="Its number among all archives of this identity.")
    manifest_sha256 = serializers.CharField(help_text="The number by which a copy is asked for.")
    bytes_total = serializers.IntegerField()
    absent = serializers.ListField(child=serializers.CharField(), help_text="Hashes of files that are gone or damaged here.")
    asked_at = Moment()
    made_at = Moment(allow_null=True)


class ImportSerializer(serializers.Serializer):
    """Something you bring here."""

    id = Id(source="pk", read_only=True)
    filename = serializers.CharField()
    kind = serializers.CharField(help_text="tributary, mastodon, peertube or csv, once somebody has looked.")
    state = serializers.ChoiceField(choices=Import.STATES)
    permille = serializers.IntegerField(help_text="How far it is, of 1000.")
    bytes_expected = serializers.IntegerField()
    bytes_received = serializers.IntegerField(help_text="Go on with `Upload-Offset` at this number.")
    code = serializers.CharField(help_text="The name of the reason, when it was refused.")
    reason = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())
    tallies = serializers.SerializerMethodField(help_text="Kind by kind: how many, and what became of them.")
    created_at = Moment()
    finished_at = Moment(allow_null=True)

    def get_tallies(self, one: Import) -> list[dict[str, Any]]:
        """As the page shows them."""
        return [vars(tally) for tally in queries.tallies(one)]


class ImportItemSerializer(serializers.Serializer):
    """One thing that an import brings."""

    kind = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=ImportItem.STATES)
    why = serializers.CharField()
    video_id = Id(allow_null=True)


class ImportStartSerializer(serializers.Serializer):
    """A file that will come, or a copy to be fetched: `filename` and `bytes`, or `server` and `manifest_sha256`."""

    filename = Text(required=False, max_length=255)
    bytes = Number(required=False, min_value=1, max_value=2**53 - 1)
    server = Text(required=False, max_length=300, help_text="The origin of the server that keeps the copy.")
    manifest_sha256 = Text(required=False, max_length=64)
    approval = serializers.JSONField(
        required=False, help_text="An ArchiveApproval by your own key, for an archive of a home that is gone."
    )


class ArchiveReplicaSerializer(serializers.Serializer):
    """A server that keeps copies of your daily archive."""

    origin = serializers.CharField()
    seq = serializers.IntegerField(allow_null=True)
    manifest_sha256 = serializers.CharField()
    permille = serializers.IntegerField()
    copied_at = Moment(allow_null=True)
    error = serializers.CharField()


class ReplicaPickSerializer(serializers.Serializer):
    """Which server."""

    origin = Text(max_length=300)


class Archives(Resource):
    """Your archives."""

    @operation(
        "archives.list",
        "Your archives, the newest first",
        query=pagination.PageQuery,
        answers={200: pagination.page_of(ArchiveSerializer)},
    )
    def get(self, request: Request) -> Response:
        """Daily ones come by themselves."""
        rows = queries.archives(me(request))
        return pagination.answer(request, rows, pagination.NEWEST, lambda found: list(ArchiveSerializer(found, many=True).data))

    @operation("archives.make", "Make an archive now", answers={202: ArchiveSerializer}, errors=(409,))
    def post(self, request: Request) -> Response:
        """It is made in the background; one that is being made already is the answer."""
        account = me(request)
        return Response(ArchiveSerializer(actions.ask_archive(account=account, by=account)).data, status=202)


class OneArchive(Resource):
    """One archive."""

    @operation("archives.show", "How far an archive is", answers={200: ArchiveSerializer}, errors=(404,))
    def get(self, request: Request, archive_id: int) -> Response:
        """Ask again until it is ready."""
        return Response(ArchiveSerializer(download.archive_of(me(request), archive_id)).data)


class Content(Resource):
    """The tar."""

    @operation("archives.download", "Download an archive", answers=TAR, errors=(404, 409))
    def get(self, request: Request, archive_id: int) -> HttpResponseBase:
        """A tar as docs/reference/archive-format.md describes it."""
        laid = download.layout(download.archive_of(me(request), archive_id))
        headers = {"Content-Length": str(laid.size), "Content-Disposition": f'attachment; filename="{laid.name}"'}
        return StreamingHttpResponse(laid.stream(), content_type="application/x-tar", headers=headers)


class Export(Resource):
    """One of Mastodon's lists."""

    @operation(
        "archives.export",
        "One of Mastodon's CSV lists",
        answers={(200, "text/csv"): {"type": "string"}},
        errors=(404,),
    )
    def get(self, request: Request, kind: str) -> HttpResponse:
        """following, blocks, mutes, domain_blocks, lists or bookmarks."""
        if kind not in csvs.TABLES:
            raise NotFound("There is no such list.")
        return HttpResponse(table(me(request), kind), content_type="text/csv; charset=utf-8")


class Imports(Resource):
    """What you bring here."""

    @operation(
        "imports.list",
        "Your imports, the newest first",
        query=pagination.PageQuery,
        answers={200: pagination.page_of(ImportSerializer)},
    )
    def get(self, request: Request) -> Response:
        """With what became of them."""
        rows = queries.imports(me(request))
        return pagination.answer(request, rows, pagination.NEWEST, lambda found: list(ImportSerializer(found, many=True).data))

    @operation(
        "imports.start", "Bring an archive", body=ImportStartSerializer, answers={201: ImportSerializer}, errors=(409, 507)
    )
    def post(self, request: Request) -> Response:
        """Announce a file, then send it with `PUT imports/{id}/content` and begin; or name a server that keeps a copy."""
        account, sent = me(request), read(ImportStartSerializer, request.data)
        approval = sent.get("approval")
        if "server" in sent and "manifest_sha256" in sent:
            made = incoming.fetch_from(
                account=account, by=account, origin=sent["server"], manifest_sha256=sent["manifest_sha256"], approval=approval
            )
        elif "filename" in sent and "bytes" in sent:
            made = incoming.announce(
                account=account, by=account, filename=sent["filename"], bytes_expected=sent["bytes"], approval=approval
            )
        else:
            raise Invalid("Name a file and its size, or a server and the number of an archive.", field="filename")
        return Response(ImportSerializer(made).data, status=201)


class OneImport(Resource):
    """One import."""

    @operation("imports.show", "How far an import is", answers={200: ImportSerializer}, errors=(404,))
    def get(self, request: Request, import_id: int) -> Response:
        """Ask again until it is over."""
        return Response(ImportSerializer(incoming.import_of(me(request), import_id)).data)


class ImportContent(Resource):
    """The bytes of an archive."""

    @operation(
        "imports.append",
        "Send bytes of an archive",
        body=BINARY,
        answers={200: ImportSerializer},
        headers=(OFFSET,),
        errors=(404, 409, 411, 507),
    )
    def put(self, request: Request, import_id: int) -> Response:
        """All at once or in pieces; what arrived before a broken connection is kept."""
        account = me(request)
        one = incoming.import_of(account, import_id)
        offset = number_in_header(request, "Upload-Offset")
        return Response(ImportSerializer(incoming.append(one=one, by=account, offset=offset, stream=body_of(request))).data)


def body_of(request: Request) -> BinaryIO:
    """The raw body as a stream. Raises LengthRequired: Django reads nothing of a body that does not say its length."""
    if "Content-Length" not in request.headers or "Transfer-Encoding" in request.headers:
        raise LengthRequired
    return cast(BinaryIO, request._request)


class Begin(Resource):
    """All bytes are here."""

    @operation("imports.begin", "Begin an import", answers={202: ImportSerializer}, errors=(404, 409))
    def post(self, request: Request, import_id: int) -> Response:
        """Everything is checked before anything has an effect. Beginning twice is once."""
        account = me(request)
        return Response(ImportSerializer(incoming.begin(one=incoming.import_of(account, import_id), by=account)).data, status=202)


class Stop(Resource):
    """No more of it."""

    @operation("imports.stop", "Stop an import", answers={200: ImportSerializer}, errors=(404, 409))
    def post(self, request: Request, import_id: int) -> Response:
        """What it did so far stays."""
        account = me(request)
        one = incoming.import_of(account, import_id)
        incoming.cancel(one=one, by=account)
        one.refresh_from_db()
        return Response(ImportSerializer(one).data)


class Items(Resource):
    """What an import brings."""

    @operation(
        "imports.items",
        "What an import brings, thing by thing",
        query=pagination.PageQuery,
        answers={200: pagination.page_of(ImportItemSerializer)},
        errors=(404,),
    )
    def get(self, request: Request, import_id: int) -> Response:
        """What is missing or failed says why."""
        rows = incoming.import_of(me(request), import_id).items.all()
        return pagination.answer(
            request, rows, pagination.OLDEST, lambda found: list(ImportItemSerializer(found, many=True).data)
        )


class Replicas(Resource):
    """Where copies of your archive are."""

    @operation("replicas.list", "Servers that keep copies for you", answers={200: ArchiveReplicaSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """With what lies there, and what went wrong."""
        return Response(_replicas(queries.replicas(me(request))))

    @operation(
        "replicas.pick",
        "Have copies kept at a server",
        body=ReplicaPickSerializer,
        answers={200: ArchiveReplicaSerializer(many=True)},
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        """Your daily archive is copied there. Only what is missing there is sent."""
        account = me(request)
        copies.pick(account=account, by=account, origin=read(ReplicaPickSerializer, request.data)["origin"])
        return Response(_replicas(queries.replicas(account)))

    @operation(
        "replicas.drop",
        "Send no more copies there",
        body=ReplicaPickSerializer,
        answers={200: ArchiveReplicaSerializer(many=True)},
    )
    def put(self, request: Request) -> Response:
        """What lies there stays until that server forgets it."""
        account = me(request)
        copies.drop(account=account, by=account, origin=read(ReplicaPickSerializer, request.data)["origin"])
        return Response(_replicas(queries.replicas(account)))


def _replicas(rows: Any) -> list[dict[str, Any]]:
    found: list[Replica] = list(rows)
    return list(ArchiveReplicaSerializer(found, many=True).data)


many, one, content, export = Archives.as_view(), OneArchive.as_view(), Content.as_view(), Export.as_view()
imports, one_import, import_content = Imports.as_view(), OneImport.as_view(), ImportContent.as_view()
begin, stop, items, replicas = Begin.as_view(), Stop.as_view(), Items.as_view(), Replicas.as_view()
