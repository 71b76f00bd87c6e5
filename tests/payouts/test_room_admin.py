"""The staff pages of the ledger: every list and page opens; two people are asked; strangers see nothing."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from payouts import agreements
from payouts.models import LogEntry, Period
from server.accounts.models import User
from tests.payouts.room import Room

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("second@example.org", "correct horse battery"))
    return client


def test_every_list_and_page_opens(room: Room, staff: Client) -> None:
    room.month()
    for model in apps.get_app_config("payouts").get_models():
        assert model in admin.site._registry, model
        assert staff.get(reverse(f"admin:payouts_{model._meta.model_name}_changelist")).status_code == 200
        row = model._default_manager.first()
        if row is not None:
            assert staff.get(reverse(f"admin:payouts_{model._meta.model_name}_change", args=[row.pk])).status_code == 200


def act(client: Client, action: str, row: Any) -> None:
    address = reverse("admin:payouts_period_changelist")
    client.post(address, {"action": action, "_selected_action": [row.pk], "confirmed": "1", "reason": "because"})


def test_approve_and_close(room: Room, staff: Client) -> None:
    room.fund()
    agreements.accept_default(scid=room.alice.scid)
    room.watch()
    period = room.plan()
    charlie = Client()
    charlie.force_login(User.objects.create_user("charlie@example.org", "correct horse battery"))
    for client, action, state in ((charlie, "approve", "planned"), (staff, "close", "planned"), (staff, "approve", "approved"),
                                  (charlie, "close", "approved"), (staff, "close", "closed")):  # fmt: skip
        act(client, action, period)
        assert Period.objects.get().state == state
    assert LogEntry.objects.filter(type="close").count() == 1
