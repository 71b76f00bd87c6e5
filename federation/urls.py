"""The addresses that ActivityPub ids point at. They are in other servers' databases: they never change."""

from django.urls import path

from federation import lists, views, watcher

_USER = "users/<slug:handle>"

urlpatterns = [
    *watcher.urlpatterns,
    path("actor", views.instance_actor),
    path("actor/outbox", lists.instance_outbox),
    path("inbox", views.shared_inbox),
    path(_USER, views.actor),
    path(f"{_USER}/inbox", views.inbox_of),
    path(f"{_USER}/outbox", lists.outbox),
    path(f"{_USER}/heads", lists.heads),
    path(f"{_USER}/migration", lists.migration),
    path(f"{_USER}/followers", lists.followers),
    path(f"{_USER}/following", lists.following),
    path(f"{_USER}/posts/<int:video_id>", views.note),
    path(f"{_USER}/posts/<int:video_id>/activity", views.note_activity),
    path(f"{_USER}/posts/<int:video_id>/likes", lists.likes),
    path(f"{_USER}/posts/<int:video_id>/shares", lists.shares),
    path(f"{_USER}/posts/<int:video_id>/replies", lists.replies),
    path(f"{_USER}/comments/<int:comment_id>", views.comment),
    path(f"{_USER}/comments/<int:comment_id>/activity", views.comment_activity),
]
