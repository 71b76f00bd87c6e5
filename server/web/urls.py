"""The addresses of the pages. Profile and watch pages share theirs with documents, so they stand in ``server/urls.py``."""

from django.urls import path

from server.web import components, health, identity, me, media, pages, reports, search, studio, threads, verbs

urlpatterns = [
    *health.urlpatterns,
    *media.urlpatterns,
    path("", pages.feed, name="feed"),
    path("tags/<str:name>", pages.tag, name="tag"),
    path("search", search.search, name="search"),
    path("about", pages.about, name="about"),
    path("manifest.webmanifest", pages.manifest, name="manifest"),
    path("components", components.components, name="components"),
    path("w/<int:video_id>/comments", threads.drawer, name="comments"),
    path("w/<int:video_id>/comments/add", threads.add, name="add_comment"),
    path("w/<int:video_id>/watched", verbs.watched, name="watched"),
    path("w/<int:video_id>/<slug:verb>", verbs.on_video, name="video_verb"),
    path("comments/<int:comment_id>/delete", threads.delete, name="delete_comment"),
    path("@<str:acct>/<slug:verb>", verbs.on_account, name="account_verb"),
    path("upload", studio.upload, name="upload"),
    path("studio", studio.studio, name="studio"),
    path("videos/<int:video_id>/edit", studio.edit, name="edit_video"),
    path("videos/<int:video_id>/delete", studio.delete, name="delete_video"),
    path("videos/<int:video_id>/<slug:verb>", studio.act, name="studio_verb"),
    path("settings/profile", me.profile_settings, name="profile_settings"),
    path("settings/handle", me.open_account, name="open_account"),
    path("settings/identity", identity.identity, name="identity"),
    path("settings/identity/bring", identity.bring, name="bring_identity"),
    path("settings/identity/leave", identity.leave, name="leave_home"),
    path("following", me.following, name="following"),
    path("following/requests/<int:follow_id>", me.answer_request, name="answer_request"),
    path("report/video/<int:video_id>", reports.video, name="report_video"),
    path("report/comment/<int:comment_id>", reports.comment, name="report_comment"),
    path("report/account/<str:acct>", reports.account, name="report_account"),
]
