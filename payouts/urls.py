"""Where the ledger is. Other instances keep these addresses in their databases: they never change."""

from django.urls import path

from payouts import views

urlpatterns = [
    path("ledger/1/checkpoint", views.checkpoint),
    path("ledger/1/tile/<path:path>", views.tile),
    path("ledger/1/entry/<int:index>", views.entry),
    path("ledger/1/blob/<str:digest>", views.blob),
    path("ledger/1/statement/<str:scid>", views.statement, name="ledger-statement"),
    path("ledger/witness/add-checkpoint", views.add_checkpoint),
    path("ledger/peers/<str:digest>/checkpoint", views.peer_checkpoint),
]
