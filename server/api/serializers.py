"""What the API shows of people, videos, comments and uploads. Input lives beside the operation that takes it."""

import html
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import prefetch_related_objects
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.accounts import queries as accounts
from server.accounts.models import Account
from server.api.fields import Id, Moment
from server.core import storage
from server.videos import queries as videos
from server.videos import states
from server.videos.models import Comment, Like, Share, Upload, Video


def absolute(address: str) -> str | None:
    """``address`` with our origin if it is relative; None for none."""
    if not address:
        return None
    return f"{settings.ORIGIN}{address}" if address.startswith("/") else address


class RelationshipSerializer(serializers.Serializer):
    """How you stand to an account."""

    following = serializers.BooleanField()
    requested = serializers.BooleanField(help_text="You asked to follow and wait for the answer.")
    followed_by = serializers.BooleanField()
    blocking = serializers.BooleanField()
    muting = serializers.BooleanField()


class AccountSummarySerializer(serializers.Serializer):
    """Who it is."""

    id = Id(source="pk", read_only=True)
    acct = serializers.CharField(help_text="`alice` here, `bob@peer.example` elsewhere.")
    display_name = serializers.CharField()
    url = serializers.CharField(help_text="The profile page.")
    avatar_url = serializers.SerializerMethodField()
    is_local = serializers.BooleanField()

    def get_avatar_url(self, account: Account) -> str | None:
        """Where the picture is."""
        return absolute(storage.url(account.avatar_file) if account.avatar_file else account.avatar_remote_url)


class AccountSerializer(AccountSummarySerializer):
    """A profile."""

    handle = serializers.CharField()
    host = serializers.SerializerMethodField(help_text="What follows the @ in the full address.")
    uri = serializers.CharField(help_text="The ActivityPub id.")
    bio_html = serializers.SerializerMethodField(help_text="Safe to show.")
    manually_approves_followers = serializers.BooleanField()
    created_at = Moment()
    moved_to = serializers.CharField(
        source="moved_to.acct", default=None, allow_null=True, help_text="Her new address, if she left."
    )
    followers_count = serializers.SerializerMethodField()
    following_count = serializers.SerializerMethodField()
    videos_count = serializers.SerializerMethodField()
    relationship = serializers.SerializerMethodField(help_text="Null when nobody is signed in.")

    def get_host(self, account: Account) -> str:
        """Our own host for local accounts."""
        return account.domain or settings.HOST

    def get_bio_html(self, account: Account) -> str:
        """Local bios are plain text, remote ones were cleaned when they came."""
        return html.escape(account.bio).replace("\n", "<br>") if account.is_local else account.bio

    def get_followers_count(self, account: Account) -> int:
        """Those known here."""
        return accounts.accepted_followers(account).count()

    def get_following_count(self, account: Account) -> int:
        """Those known here."""
        return accounts.accepted_following(account).count()

    def get_videos_count(self, account: Account) -> int:
        """Those the viewer may see in a list."""
        return videos.visible_to(self.context.get("viewer")).filter(account=account).count()

    @extend_schema_field(RelationshipSerializer(allow_null=True))
    def get_relationship(self, account: Account) -> dict[str, Any] | None:
        """None when nobody is signed in."""
        viewer = self.context.get("viewer")
        return RelationshipSerializer(accounts.relationship(viewer, account)).data if viewer else None


class ProcessingSerializer(serializers.Serializer):
    """How the transcode goes; only its owner sees it."""

    progress_percent = serializers.IntegerField()
    failure = serializers.CharField(help_text="Why it failed, in words for the owner; empty when it did not.")
    publish_when_ready = serializers.BooleanField()


class VideoSerializer(serializers.Serializer):
    """A video post."""

    id = Id(source="pk", read_only=True)
    uuid = serializers.UUIDField()
    account = AccountSummarySerializer()
    is_local = serializers.BooleanField()
    state = serializers.ChoiceField(choices=states.STATES)
    visibility = serializers.ChoiceField(choices=["public", "unlisted"])
    url = serializers.CharField(help_text="The page to watch it on.")
    uri = serializers.CharField(help_text="The ActivityPub id.")
    caption = serializers.CharField()
    caption_html = serializers.SerializerMethodField(help_text="Safe to show.")
    alt_text = serializers.CharField()
    language = serializers.CharField(help_text="BCP 47, or empty.")
    sensitive = serializers.BooleanField()
    comments_open = serializers.BooleanField()
    hashtags = serializers.SerializerMethodField(help_text="Lower-case, without #.")
    duration_ms = serializers.IntegerField(allow_null=True)
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    blurhash = serializers.CharField()
    hls_url = serializers.SerializerMethodField(help_text="Master playlist; null for videos of other servers.")
    mp4_url = serializers.SerializerMethodField()
    poster_url = serializers.SerializerMethodField()
    like_count = serializers.IntegerField()
    comment_count = serializers.IntegerField()
    share_count = serializers.IntegerField()
    view_count = serializers.IntegerField()
    created_at = Moment()
    published_at = Moment(allow_null=True)
    edited_at = Moment(allow_null=True)
    liked = serializers.SerializerMethodField(help_text="You like it.")
    shared = serializers.SerializerMethodField(help_text="You passed it on.")
    processing = serializers.SerializerMethodField(help_text="Null unless it is yours.")

    def get_caption_html(self, video: Video) -> str:
        """With links for links, tags and mentions."""
        return str(videos.caption_as_html(video))

    def get_hashtags(self, video: Video) -> list[str]:
        """Their names."""
        return sorted(tag.name for tag in video.hashtags.all())

    def get_hls_url(self, video: Video) -> str | None:
        """Absolute."""
        return absolute(videos.playback(video).hls_url)

    def get_mp4_url(self, video: Video) -> str | None:
        """Absolute."""
        return absolute(videos.playback(video).mp4_url)

    def get_poster_url(self, video: Video) -> str | None:
        """Absolute."""
        return absolute(videos.playback(video).poster_url)

    def get_liked(self, video: Video) -> bool:
        """By the viewer."""
        return video.pk in self.context["liked"]

    def get_shared(self, video: Video) -> bool:
        """By the viewer."""
        return video.pk in self.context["shared"]

    @extend_schema_field(ProcessingSerializer(allow_null=True))
    def get_processing(self, video: Video) -> dict[str, Any] | None:
        """For its owner."""
        viewer = self.context["viewer"]
        mine = viewer is not None and viewer.pk == video.account_id
        return ProcessingSerializer(video).data if mine else None


class CommentSerializer(serializers.Serializer):
    """A comment. A deleted one stays, empty, while somebody has answered it."""

    id = Id(source="pk", read_only=True)
    video_id = Id()
    parent_id = Id(allow_null=True)
    account = AccountSummarySerializer()
    is_local = serializers.BooleanField()
    uri = serializers.CharField()
    text = serializers.CharField()
    html = serializers.SerializerMethodField(help_text="Safe to show.")
    created_at = Moment()
    edited_at = Moment(allow_null=True)
    deleted = serializers.SerializerMethodField()

    def get_html(self, comment: Comment) -> str:
        """With links for links, tags and mentions."""
        return str(videos.comment_as_html(comment))

    def get_deleted(self, comment: Comment) -> bool:
        """Its words are gone."""
        return comment.deleted_at is not None


class UploadSerializer(serializers.Serializer):
    """A file on its way in."""

    id = serializers.UUIDField()
    filename = serializers.CharField()
    bytes_expected = serializers.IntegerField()
    bytes_received = serializers.IntegerField(help_text="Go on with `Upload-Offset` at this number.")
    video_id = Id(allow_null=True, help_text="Set when the upload is finished.")
    created_at = Moment()
    finished_at = Moment(allow_null=True)


def account(found: Account, viewer: Account | None) -> dict[str, Any]:
    """A profile as ``viewer`` sees it."""
    return AccountSerializer(found, context={"viewer": viewer}).data


def people(found: Sequence[Account]) -> list[dict[str, Any]]:
    """Accounts in a list."""
    return list(AccountSummarySerializer(found, many=True).data)


def video_list(found: Sequence[Video], viewer: Account | None) -> list[dict[str, Any]]:
    """Videos as ``viewer`` sees them, in a fixed number of queries."""
    prefetch_related_objects(list(found), "hashtags")
    ids = [video.pk for video in found]
    context = {
        "viewer": viewer,
        "liked": set(Like.objects.filter(account=viewer, video_id__in=ids).values_list("video_id", flat=True))
        if viewer
        else set(),
        "shared": set(Share.objects.filter(account=viewer, video_id__in=ids).values_list("video_id", flat=True))
        if viewer
        else set(),
    }
    return list(VideoSerializer(found, many=True, context=context).data)


def video(found: Video, viewer: Account | None) -> dict[str, Any]:
    """One video as ``viewer`` sees it."""
    return video_list([found], viewer)[0]


def comments(found: Sequence[Comment]) -> list[dict[str, Any]]:
    """Comments in a list."""
    return list(CommentSerializer(found, many=True).data)


def upload(found: Upload) -> dict[str, Any]:
    """One upload."""
    return dict(UploadSerializer(found).data)
