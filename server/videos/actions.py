"""Every verb on videos, by name. Each is one transaction that checks, changes and records; the files behind say how."""

from server.videos.comments import comment, delete_comment
from server.videos.publishing import (
    delete,
    edit,
    mark_failed,
    mark_transcoded,
    publish,
    retry_transcode,
    unpublish,
)
from server.videos.reactions import like, share, unlike, unshare
from server.videos.receive import (
    receive_delete,
    receive_like,
    receive_remote,
    receive_remote_comment,
    receive_remote_comment_edit,
    receive_remote_edit,
    receive_share,
    receive_unlike,
    receive_unshare,
)
from server.videos.uploads import append_upload, finish_upload, forget_upload, start_upload, upload_file
from server.videos.viewing import count_view

__all__ = [
    "append_upload",
    "comment",
    "count_view",
    "delete",
    "delete_comment",
    "edit",
    "finish_upload",
    "forget_upload",
    "like",
    "mark_failed",
    "mark_transcoded",
    "publish",
    "receive_delete",
    "receive_like",
    "receive_remote",
    "receive_remote_comment",
    "receive_remote_comment_edit",
    "receive_remote_edit",
    "receive_share",
    "receive_unlike",
    "receive_unshare",
    "retry_transcode",
    "share",
    "start_upload",
    "unlike",
    "unpublish",
    "unshare",
    "upload_file",
]
