"""Staff pages for videos and what people say about them."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat, truncatechars
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from server.accounts.models import User
from server.core import storage
from server.moderation.actions import audit
from server.moderation.audited_admin import ReadOnlyAdmin, staff_action
from server.moderation.models import Report
from server.moderation.staff_display import NOTHING, list_of, mark, when
from server.videos import actions, states
from server.videos.models import Comment, Hashtag, Like, Rendition, Share, Upload, Video


@transaction.atomic
def _delete_video(*, row: Video, by_staff: User, reason: str) -> None:
    detail: dict[str, object] = {"reason": reason, "uri": row.uri, "by": row.account.uri}
    actions.delete(video=row, by=None, by_staff=by_staff)
    audit(by_staff=by_staff, action="delete_video", target=f"video {row.pk}", detail=detail)


@transaction.atomic
def _delete_comment(*, row: Comment, by_staff: User, reason: str) -> None:
    detail: dict[str, object] = {"reason": reason, "uri": row.uri, "by": row.account.uri}
    actions.delete_comment(comment=row, by=None, by_staff=by_staff)
    audit(by_staff=by_staff, action="delete_comment", target=f"comment {row.pk}", detail=detail)


def picture(video: Video | None) -> SafeString | str:
    """The poster of a video. Only pictures we keep: one from elsewhere would tell that server what our staff looks at."""
    if video is None or not video.poster_file or video.state == states.DELETED:
        return NOTHING
    return format_html('<img class="poster" src="{}" alt="{}" loading="lazy">', storage.url(video.poster_file), video.alt_text)


class RenditionInline(admin.TabularInline):
    model = Rendition
    readonly_fields = ["name", "width", "height", "bits_per_second", "codecs", "size"]
    fields = tuple(readonly_fields)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="size")
    def size(self, rendition: Rendition) -> str:
        return filesizeformat(rendition.media_bytes)


@admin.register(Video)
class VideoAdmin(ReadOnlyAdmin):
    list_display = ["picture", "words", "account", "standing", "made", "length", "likes", "comments", "views"]
    list_display_links = ["picture", "words"]
    list_filter = ["state", "is_local", "visibility", "sensitive", "created_at"]
    search_fields = ["caption", "account__handle", "account__domain", "uri", "=id", "=uuid"]
    list_select_related = ["account"]
    ordering = ["-created_at"]
    inlines = [RenditionInline]
    fields = [
        "picture", "words_in_full", "account", "standing", "failure", "visibility", "sensitive", "comments_open", "alt_text",
        "language", "length", "dimensions", "size", "like_count", "comment_count", "share_count", "view_count", "related",
        "url", "uri", "created_at", "published_at", "edited_at", "deleted_at",
    ]  # fmt: skip
    readonly_fields = ["picture", "words_in_full", "standing", "length", "dimensions", "size", "related"]
    actions = [
        staff_action(
            "Delete for good",
            verb=_delete_video,
            warning="Words and files of these videos are removed, here and on the servers that have them. This cannot be undone.",
            needs_reason=True,
        ),
    ]

    @admin.display(description="picture")
    def picture(self, video: Video) -> SafeString | str:
        return picture(video)

    @admin.display(description="caption", ordering="caption")
    def words(self, video: Video) -> str:
        return truncatechars(video.caption, 60) or "(no caption)"

    @admin.display(description="caption")
    def words_in_full(self, video: Video) -> str:
        return video.caption or "(no caption)"

    @admin.display(description="state", ordering="state")
    def standing(self, video: Video) -> SafeString:
        return mark(video.state)

    @admin.display(description="made", ordering="created_at")
    def made(self, video: Video) -> SafeString | str:
        return when(video.created_at)

    @admin.display(description="length", ordering="duration_ms")
    def length(self, video: Video) -> str:
        return NOTHING if video.duration_ms is None else f"{video.duration_ms / 1000:.1f} s"

    @admin.display(description="likes", ordering="like_count")
    def likes(self, video: Video) -> int:
        return video.like_count

    @admin.display(description="comments", ordering="comment_count")
    def comments(self, video: Video) -> int:
        return video.comment_count

    @admin.display(description="views", ordering="view_count")
    def views(self, video: Video) -> int:
        return video.view_count

    @admin.display(description="width x height")
    def dimensions(self, video: Video) -> str:
        return f"{video.width} x {video.height}" if video.width else NOTHING

    @admin.display(description="MP4")
    def size(self, video: Video) -> str:
        return filesizeformat(video.mp4_bytes) if video.mp4_bytes else NOTHING

    @admin.display(description="everything about this video")
    def related(self, video: Video) -> SafeString:
        lists = [
            list_of(Comment, "comments", video__id__exact=video.pk),
            list_of(Report, "reports", video__id__exact=video.pk),
            list_of(Like, "likes", video__id__exact=video.pk),
            list_of(Share, "shares", video__id__exact=video.pk),
        ]
        return format_html_join(" · ", "{}", ([each] for each in lists))


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    list_display = ["words", "account", "video", "created_at", "deleted_at"]
    list_filter = ["is_local", ("deleted_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["text", "account__handle", "account__domain", "uri"]
    list_select_related = ["account", "video__account"]
    ordering = ["-created_at"]
    fields = ["text", "account", "video", "parent", "url", "uri", "created_at", "edited_at", "deleted_at"]
    actions = [
        staff_action(
            "Delete for good",
            verb=_delete_comment,
            warning="The words of these comments are removed, here and on the servers that have them. This cannot be undone.",
            needs_reason=True,
        ),
    ]

    @admin.display(description="text", ordering="text")
    def words(self, comment: Comment) -> str:
        return truncatechars(comment.text, 80) or "(deleted)"


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ["filename", "account", "video", "received", "created_at", "finished_at"]
    list_filter = [("finished_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["filename", "account__handle", "=id"]
    list_select_related = ["account", "video__account"]
    ordering = ["-created_at"]

    @admin.display(description="received")
    def received(self, upload: Upload) -> str:
        return f"{filesizeformat(upload.bytes_received)} of {filesizeformat(upload.bytes_expected)}"


@admin.register(Hashtag)
class HashtagAdmin(ReadOnlyAdmin):
    list_display = ["name"]
    search_fields = ["name"]
    ordering = ["name"]


class ReactionAdmin(ReadOnlyAdmin):
    list_display: Any = ["account", "video", "created_at"]
    search_fields = ["account__handle", "account__domain", "uri"]
    list_select_related = ["account", "video__account"]
    ordering = ["-created_at"]


admin.site.register([Like, Share], ReactionAdmin)
