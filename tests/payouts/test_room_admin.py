"""The staff pages of the ledger: every list and page opens; two people are asked; strangers see nothing."""

import io
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from payouts import agreements, mirror, peers, pins, standing
from payouts.ledger.errors import LedgerError
from payouts.mirror_files import name_of
from payouts.models import Dispute, HeardNote, LogEntry, PeerLog, PeerMirror, Period, Witness, WitnessPolicy
from server.accounts.models import User
from server.moderation.models import AuditEntry
from tests.payouts.audited_month import one_unit_more, play
from tests.payouts.c2sp_witness import C2spWitness
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import Room
from tests.payouts.test_room_peers import followed, fork_same_size, grow

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


def test_witnesses_are_picked_and_counted_here(staff: Client) -> None:
    outside = C2spWitness()
    outside.close()
    add = reverse("admin:payouts_witness_add")
    staff.post(add, {"vkey": "nonsense", "url": outside.url, "monitoring_url": ""})
    assert not Witness.objects.exists()
    charlie = Client()
    charlie.force_login(User.objects.create_user("charlie@example.org", "correct horse battery"))
    charlie.post(add, {"vkey": outside.vkey, "url": outside.url, "monitoring_url": ""})
    assert not Witness.objects.exists()
    staff.post(add, {"vkey": outside.vkey, "url": outside.url, "monitoring_url": ""})
    row = Witness.objects.get()
    assert (row.name, row.is_active) == (outside.name, True)
    for asked, stands in (("2", None), ("1", 1)):
        staff.post(reverse("admin:payouts_witnesspolicy_add"), {"quorum": asked})
        newest = WitnessPolicy.objects.last()
        assert (newest and (newest.quorum, newest.set_by)) == (stands and (stands, "second@example.org"))
    address = reverse("admin:payouts_witness_changelist")
    for client, active in ((charlie, True), (staff, False)):
        data = {"action": "stop_asking_as_witness", "_selected_action": [row.pk], "confirmed": "1", "reason": "it lies"}
        client.post(address, data)
        row.refresh_from_db()
        assert row.is_active is active
    assert AuditEntry.objects.filter(action="stop_asking_witness").count() == 1


def test_a_read_only_ledger_is_shown_to_staff_and_probes(room: Room, staff: Client) -> None:
    room.fund()
    for page in (reverse("staff_ledgers"), "/readyz"):
        answer = staff.get(page)
        assert (answer.status_code, b"read-only" in answer.content) == (200, False)
    standing.suspend(reason="set_back", here=2, seen=9, by="beta.example/witness/1")
    for page in (reverse("staff_ledgers"), "/readyz"):
        answer = staff.get(page)
        assert (answer.status_code, b"read-only" in answer.content) == (200, True)
    said = io.StringIO()
    call_command("ledger", "status", stdout=said)
    assert "9 entries according to beta.example/witness/1, 2 here" in said.getvalue()
    with pytest.raises(CommandError, match="still read-only"):
        call_command("ledger_recover", stdout=said)


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


def test_a_fork_warns_on_every_staff_page_until_somebody_has_read_it(neighbour: Neighbour, staff: Client) -> None:
    charlie = Client()
    charlie.force_login(User.objects.create_user("charlie@example.org", "correct horse battery"))
    play(neighbour)
    peer = followed(neighbour, "one")
    mirror.mirror_peer(peer)
    pages = [
        reverse("staff_ledgers"),
        reverse("staff_periods"),
        reverse("admin:index"),
        reverse("admin:payouts_peerlog_changelist"),
    ]
    warning = b"has signed two different books"
    assert not any(warning in staff.get(page).content for page in pages)
    fork_same_size(neighbour)
    with pytest.raises(LedgerError):
        peers.refresh(peer)
    for page in pages:
        shown = staff.get(page)
        assert shown.status_code == 200
        assert warning in shown.content, page
        assert f"/ledger/forks/{name_of(peer.origin)}".encode() in shown.content
        assert warning not in charlie.get(page).content
    for client in (charlie, staff):
        assert PeerLog.objects.get().fork_acknowledged_at is None
        address = reverse("admin:payouts_peerlog_changelist")
        client.post(
            address,
            {"action": "acknowledge_the_fork", "_selected_action": [peer.pk], "confirmed": "1", "reason": "told the creators"},
        )
    assert PeerLog.objects.get().fork_acknowledged_by == "second@example.org"
    assert AuditEntry.objects.get(action="acknowledge_fork").target == str(peer)
    assert not any(warning in staff.get(page).content for page in pages)
    assert b"forked: two signed books" in staff.get(pages[0]).content


def test_copies_disputes_and_notes_have_pages(neighbour: Neighbour, staff: Client) -> None:
    play(neighbour, told_shares=one_unit_more)
    peer = followed(neighbour, "one")
    address = reverse("admin:payouts_peerlog_changelist")
    staff.post(address, {"action": "copy_and_audit_now", "_selected_action": [peer.pk]})
    dispute = Dispute.objects.get()
    pins.hear(peer, neighbour.checkpoint(), source="charlie.example")
    for row in (dispute, PeerMirror.objects.get(), HeardNote.objects.get()):
        shown = staff.get(reverse(f"admin:payouts_{row._meta.model_name}_change", args=[row.pk]))
        assert shown.status_code == 200
    assert f"/ledger/disputes/{dispute.digest}".encode() in staff.get(reverse("staff_ledgers")).content
    for action, kept in (("stop_copying", False), ("go_on_copying", True)):
        staff.post(address, {"action": action, "_selected_action": [peer.pk], "confirmed": "1", "reason": "disk"})
        assert PeerLog.objects.get().is_mirrored is kept


def test_a_peer_that_goes_back_or_shows_one_byte_changed_is_refused_by_name(neighbour: Neighbour, staff: Client) -> None:
    """Through the door that people use: the page of peers' ledgers."""

    def look(row: PeerLog) -> str:
        data = {"action": "look_now", "_selected_action": [row.pk]}
        return staff.post(reverse("admin:payouts_peerlog_changelist"), data, follow=True).content.decode()

    def pin() -> tuple[int, str, bytes]:
        row = PeerLog.objects.get()
        return row.size, row.root, bytes(row.checkpoint)

    grow(neighbour, "one")
    old = neighbour.checkpoint()
    peer = followed(neighbour, "two")
    before = pin()
    neighbour.note = old
    assert "went_backwards" in look(peer)
    assert pin() == before
    neighbour.note = None
    grow(neighbour, "three")
    path = "tile/0/000.p/4"
    right = neighbour.log.files[path]
    neighbour.log.files[path] = right[:-9] + bytes([right[-9] ^ 1]) + right[-8:]
    assert "bad_tile" in look(peer)
    assert pin() == before
    neighbour.log.files[path] = right
    assert "Nothing was changed" not in look(PeerLog.objects.get())
    assert pin()[0] == before[0] + 1
