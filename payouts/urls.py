"""Where the ledger is. Other instances keep these addresses in their databases: they never change."""

from django.urls import path

from payouts import peer_views, views

urlpatterns = [
    path("ledger/1/checkpoint", views.checkpoint),
    path("ledger/1/policy", views.policy),
    path("ledger/1/tile/<path:path>", views.tile),
    path("ledger/1/entry/<int:index>", views.entry),
    path("ledger/1/blob/<str:digest>", views.blob),
    path("ledger/1/statement/<str:scid>", views.statement, name="ledger-statement"),
    path("ledger/1/offer", views.offer),
    path("ledger/1/agreements", views.add_agreement),
    path("ledger/witness/add-checkpoint", views.add_checkpoint),
    path("ledger/peers/<str:digest>/checkpoint", peer_views.checkpoint),
    path("ledger/peers/<str:digest>/mirrored", peer_views.mirrored),
    path("ledger/peers/<str:digest>/tile/<path:path>", peer_views.tile),
    path("ledger/peers/<str:digest>/blob/<str:name>", peer_views.blob),
    path("ledger/peers/<str:digest>/branches/<str:branch>/mirrored", peer_views.mirrored),
    path("ledger/peers/<str:digest>/branches/<str:branch>/tile/<path:path>", peer_views.tile),
    path("ledger/forks/<str:digest>", peer_views.fork),
    path("ledger/disputes/<str:digest>", peer_views.dispute),
]
