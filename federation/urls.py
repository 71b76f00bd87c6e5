"""The addresses that ActivityPub ids point at. They are in other servers' databases: they never change."""

from django.urls import path

from federation import views

_USER = "users/<slug:handle>"

urlpatterns = [
    path("actor", views.instance_actor),
    path("actor/outbox", views.instance_outbox),
    path("inbox", views.shared_inbox),
    path(_USER, views.actor),
    path(f"{_USER}/inbox", views.inbox_of),
    path(f"{_USER}/outbox", views.outbox),
    path(f"{_USER}/followers", views.followers),
    path(f"{_USER}/following", views.following),
    path(f"{_USER}/posts/<int:video_id>", views.note),
    path(f"{_USER}/posts/<int:video_id>/activity", views.note_activity),
    path(f"{_USER}/posts/<int:video_id>/likes", views.likes),
    path(f"{_USER}/posts/<int:video_id>/shares", views.shares),
    path(f"{_USER}/posts/<int:video_id>/replies", views.replies),
    path(f"{_USER}/comments/<int:comment_id>", views.comment),
]
