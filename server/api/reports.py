"""Telling the staff. Anybody may, with or without an account; nobody sees what others told."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from server.api import lookups, pagination
from server.api.auth import PUBLIC, me, viewer
from server.api.fields import Id, Moment, Text
from server.api.operations import Resource, operation, read
from server.core import limits
from server.core.errors import Invalid
from server.moderation import actions
from server.moderation.models import Report


class ReportWriteSerializer(serializers.Serializer):
    """What is wrong: name one of `account`, `video_id` and `comment_id`."""

    account = Text(required=False, max_length=600, help_text="Address or id.")
    video_id = Id(required=False)
    comment_id = Id(required=False)
    reason = serializers.ChoiceField(choices=Report.REASONS)
    text = Text(required=False, allow_blank=True, max_length=limits.REPORT_CHARACTERS_MAX)


class ReportSerializer(serializers.Serializer):
    """A report you made."""

    id = Id(source="pk", read_only=True)
    account = serializers.CharField(source="target.acct")
    video_id = Id(allow_null=True)
    comment_id = Id(allow_null=True)
    reason = serializers.ChoiceField(choices=Report.REASONS)
    text = serializers.CharField()
    created_at = Moment()
    resolved_at = Moment(allow_null=True)


class ReportThrottle(ScopedRateThrottle):
    """Few reports an hour from one sender; reading is not counted."""

    scope_attr = "report_scope"

    def allow_request(self, request: Request, view: APIView) -> bool:
        """True when the sender may go on."""
        return request.method != "POST" or super().allow_request(request, view)


class Reports(Resource):
    """Reports."""

    report_scope = "reports"
    throttle_classes = [*Resource.throttle_classes, ReportThrottle]

    @operation(
        "reports.list",
        "The reports you made, the newest first",
        query=pagination.PageQuery,
        answers={200: pagination.page_of(ReportSerializer)},
    )
    def get(self, request: Request) -> Response:
        """Only your own."""
        rows = Report.objects.filter(reporter=me(request)).select_related("target")
        return pagination.answer(request, rows, pagination.NEWEST, _show)

    @operation(
        "reports.make",
        "Report an account, a video or a comment",
        access=PUBLIC,
        body=ReportWriteSerializer,
        answers={201: ReportSerializer},
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        """The same open report twice is once."""
        sent = read(ReportWriteSerializer, request.data)
        who = viewer(request)
        named = [name for name in ("account", "video_id", "comment_id") if name in sent]
        if len(named) != 1:
            raise Invalid("Name one of account, video_id and comment_id.", field="account")
        video = lookups.video(int(sent["video_id"]), who) if "video_id" in sent else None
        comment = lookups.comment(int(sent["comment_id"]), who) if "comment_id" in sent else None
        target = lookups.account(sent["account"]) if "account" in sent else (video or comment).account  # type: ignore[union-attr]
        made = actions.report(
            reporter=who, target=target, video=video, comment=comment, reason=sent["reason"], text=sent.get("text", "")
        )
        return Response(ReportSerializer(made).data, status=201)


def _show(found: list[Report]) -> list[dict[str, Any]]:
    return list(ReportSerializer(found, many=True).data)


many = Reports.as_view()
