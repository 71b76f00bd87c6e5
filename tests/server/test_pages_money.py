"""Wallet, sponsors, periods, ledgers, identity: the pages of money, and who may not open them."""

import gzip
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from payouts import agreements, instance_keys, metering, peers
from payouts.ledger.__main__ import main as verify
from payouts.models import Acceptance, LogEntry, PeerAgreement, PeerLog, Period
from server.accounts.models import Account, User
from server.core import clock, http
from server.identity import queries as identities
from server.identity.models import CustodyKey
from server.moderation.models import AuditEntry
from server.sponsors.models import Advertiser, Campaign
from tests.payouts.neighbour import Neighbour
from tests.payouts.played_month import play_month
from tests.server.test_pages_watch import signed_in, text
from tests.world import World, published

pytestmark = pytest.mark.django_db
STAFF_FORMS = ["/staff/sponsors", "/staff/periods", "/staff/ledgers"]
STAFF_PAGES = [
    *STAFF_FORMS,
    "/staff/agreements",
    "/staff/identities",
    "/staff/entries/0",
]
SHOWN = 1000


@pytest.fixture
def next_door() -> Iterator[Neighbour]:
    """Another instance with a ledger."""
    it = Neighbour()
    yield it
    it.close()
    http.forget_connections()


def staff(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(f"{name}@example.org", "a long password", is_staff=True))
    return client


@pytest.fixture
def root(world: World) -> Client:
    return staff("root")


def png() -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return SimpleUploadedFile("tea.png", out.getvalue(), "image/png")


def campaign_form(**changed: Any) -> dict[str, Any]:
    today = clock.now().date()
    values = {
        "form": "campaign", "advertiser": "acme", "name": "spring", "headline": "Tea", "link": "https://tea.example",
        "price": "20.00", "first_day": today, "last_day": today + timedelta(days=9), "image": png(),
    }  # fmt: skip
    return {name: value for name, value in {**values, **changed}.items() if value is not None}


def sell(root: Client) -> None:
    """Through the pages: an advertiser, her payment, a running campaign."""
    fund = {
        "form": "fund", "advertiser": "acme", "gross": "50.00", "fee": "0.00", "source": "bank", "reference": "line 7",
        "id": "a" * 32,
    }  # fmt: skip
    for form in (
        {"form": "advertiser", "name": "acme", "display_name": "Acme Tea"},
        {**fund, "evidence": SimpleUploadedFile("bank.txt", b"statement")},
        campaign_form(),
    ):
        answer = root.post("/staff/sponsors", form)
        assert answer.status_code == 302, text(answer)
    assert root.post("/staff/sponsors/spring/run").status_code == 302


def watch(creator: Account, count: int = SHOWN) -> None:
    work = published(creator).uri
    for _ in range(2):
        metering.count_view(day=clock.now().date(), work=work, creator_scid=creator.scid or "", weight_ms=9_000)
    metering.count_view(day=clock.now().date(), work=work, creator_scid="", weight_ms=1, rejected="too-short")
    metering.count_impression(day=clock.now().date(), campaign="spring", work=work, creator_scid=creator.scid or "")
    metering.MeteredImpression.objects.filter(work=work).update(count=count)


def plan(root: Client, **changed: str) -> Period:
    answer = root.post("/staff/periods", {"name": f"{clock.now():%Y-%m}", "operating_cost": "0.00", **changed})
    assert answer.status_code == 302, text(answer)
    return Period.objects.get()


def earned(root: Client, creator: Account) -> None:
    sell(root)
    watch(creator)
    period = plan(root)
    for step in ("approve", "close"):
        assert root.post(f"/staff/periods/{period.pk}/{step}").status_code == 302


# --- who may not ---


@pytest.mark.parametrize("page", STAFF_PAGES)
def test_staff_pages_are_for_staff(client: Client, world: World, page: str) -> None:
    assert signed_in(world.charlie).get(page).status_code == 403
    knocked = signed_in(world.charlie).post(page, {"form": "advertiser", "name": "mine", "origin": "x"})
    assert knocked.status_code == (403 if page in STAFF_FORMS else 405)
    visitor = client.get(page)
    assert visitor.status_code == 302
    assert visitor["Location"].startswith("/account/login/")
    assert not Advertiser.objects.exists()


def test_charlie_takes_no_step(root: Client, world: World) -> None:
    sell(root)
    watch(world.alice)
    period = plan(root)
    charlie = signed_in(world.charlie)
    for address in (
        "/staff/sponsors/spring/stop",
        *(f"/staff/periods/{period.pk}/{step}" for step in ("approve", "close", "discard")),
    ):
        assert charlie.post(address).status_code == 403
        assert Client().post(address).status_code == 302
        assert root.get(address).status_code == 405
    assert charlie.get(f"/staff/periods/{period.pk}").status_code == 403
    period.refresh_from_db()
    assert (period.state, Campaign.objects.get().state) == ("planned", "running")


def test_an_unknown_step_is_nowhere(root: Client, world: World) -> None:
    sell(root)
    watch(world.alice)
    period = plan(root)
    for address in (
        "/staff/sponsors/spring/explode", "/staff/sponsors/nothing/run", f"/staff/periods/{period.pk}/explode",
        "/staff/periods/999999/approve", "/staff/periods/999999",
    ):  # fmt: skip
        answer = root.get(address) if address.endswith("/999999") else root.post(address)
        assert answer.status_code == 404, address


# --- sponsors ---


def test_the_forms_say_what_is_wrong(root: Client, world: World) -> None:
    sell(root)
    remote = published(world.dora)
    for changed, words in (
        ({"price": "0.00"}, "more than nothing"),
        ({"price": "-1"}, "greater than or equal"),
        ({"link": "javascript:alert(1)"}, "valid URL"),
        ({"headline": ""}, "required"),
        ({"name": "Not A Name"}, "Small letters"),
        ({"name": "spring"}, "of this name"),
        ({"last_day": "2020-01-01"}, "before it begins"),
        ({"image": None}, "clip or a picture"),
        ({"image": None, "video_id": "9" * 40}, "less than or equal"),
        ({"image": None, "video_id": str(remote.pk)}, "no published video of this instance"),
        ({"image": SimpleUploadedFile("x.png", b"no picture")}, "valid image"),
    ):
        answer = root.post("/staff/sponsors", campaign_form(**{"name": "other", **changed}))
        assert answer.status_code == 422, changed
        assert words in text(answer), changed
    assert root.post("/staff/sponsors", {"form": "fund", "advertiser": "acme", "gross": "5.00"}).status_code == 422
    assert root.post("/staff/sponsors", {"form": "unknown"}).status_code == 200
    assert Campaign.objects.count() == 1
    assert (
        root.post("/staff/sponsors", campaign_form(name="clip", image=None, video_id=published(world.bob).pk)).status_code == 302
    )


def test_an_unfunded_campaign_is_refused_in_words(root: Client, world: World) -> None:
    root.post("/staff/sponsors", {"form": "advertiser", "name": "acme", "display_name": "Acme"})
    root.post("/staff/sponsors", campaign_form())
    answer = root.post("/staff/sponsors/spring/run")
    assert answer.status_code == 409
    assert "Book what was paid in first" in text(answer)
    assert "New campaign" in text(root.get("/staff/sponsors"))


# --- periods ---


def test_a_period_is_planned_looked_at_approved_and_closed(root: Client, world: World) -> None:
    sell(root)
    watch(world.alice)
    period = plan(root)
    page = text(root.get(f"/staff/periods/{period.pk}"))
    assert "A dry run" in page
    assert world.alice.scid in page
    assert "1 rejected as too-short" in page
    assert root.post(f"/staff/periods/{period.pk}/close").status_code == 409, "nobody approved it"
    assert root.post("/staff/periods", {"name": "2020-01", "operating_cost": "0"}).status_code == 422
    assert root.post(f"/staff/periods/{period.pk}/approve").status_code == 302
    assert root.post(f"/staff/periods/{period.pk}/discard").status_code == 409
    assert root.post(f"/staff/periods/{period.pk}/close").status_code == 302
    assert root.post(f"/staff/periods/{period.pk}/close").status_code == 302, "closing again changes nothing"
    assert "as entry" in text(root.get(f"/staff/periods/{period.pk}"))
    assert "accrue" in text(root.get("/staff/ledgers"))


def test_above_the_set_amount_four_eyes_look(root: Client, world: World, settings: Any) -> None:
    settings.FOUR_EYES_AMOUNT_MILLIONTHS = 1
    sell(root)
    watch(world.alice)
    period = plan(root)
    answer = root.post(f"/staff/periods/{period.pk}/approve")
    assert answer.status_code == 403
    assert "another person" in text(answer)
    # With another address she is still the same person.
    User.objects.filter(email="root@example.org").update(email="other@example.org")
    assert root.post(f"/staff/periods/{period.pk}/approve").status_code == 403
    assert Period.objects.get().state == "planned"
    second = staff("second")
    assert second.post(f"/staff/periods/{period.pk}/approve").status_code == 302
    assert Period.objects.get().approved_by.endswith(" second@example.org")
    assert "Approved by second@example.org" in text(root.get(f"/staff/periods/{period.pk}"))
    assert second.post(f"/staff/periods/{period.pk}/close").status_code == 302
    assert second.post(f"/staff/periods/{period.pk}/close").status_code == 302
    acts = AuditEntry.objects.filter(action__endswith="_period").order_by("pk").values_list("action", "actor__email")
    assert list(acts) == [
        ("plan_period", "other@example.org"), ("approve_period", "second@example.org"), ("close_period", "second@example.org"),
    ]  # fmt: skip
    assert LogEntry.objects.filter(type="close").count() == 1


def test_a_plan_can_be_discarded(root: Client, world: World) -> None:
    sell(root)
    watch(world.alice)
    assert root.post(f"/staff/periods/{plan(root).pk}/discard").status_code == 302
    assert not Period.objects.exists()
    assert plan(root).amount == 20_000_000


@pytest.mark.parametrize("name", ["", "November", "2026-13", "2026-11-31", "0000-01", "2020-01"])
def test_a_period_that_is_none(root: Client, world: World, name: str) -> None:
    assert root.post("/staff/periods", {"name": name, "operating_cost": "0.00"}).status_code == 422


@pytest.mark.parametrize("origin", ["", "x", "https://", "ftp://peer.example", "http://[x", "http://localhost:1", "\u0000"])
def test_a_ledger_that_cannot_be_followed(root: Client, world: World, origin: str) -> None:
    assert root.post("/staff/ledgers", {"origin": origin}).status_code == 422


def test_a_ledger_that_lies_is_refused_on_the_page(root: Client, world: World, next_door: Neighbour) -> None:
    play_month(next_door, world.alice.scid or "")
    note = next_door.checkpoint()
    next_door.note = note.replace(b"\n", b"\nx", 1)
    answer = root.post("/staff/ledgers", {"origin": next_door.origin})
    assert (answer.status_code, "This ledger was refused" in text(answer)) == (422, True)
    assert not PeerLog.objects.exists()
    next_door.note = None
    assert root.post("/staff/ledgers", {"origin": next_door.origin}).status_code == 302
    assert "consistent, cosigned" in text(root.get("/staff/ledgers"))


# --- looking things up ---


def test_what_there_is_not_yet_is_said(root: Client, world: World) -> None:
    assert "No offer yet" in text(root.get("/staff/agreements"))
    assert root.get("/staff/entries/0").status_code == 404
    assert "Nobody found" in text(root.get("/staff/identities", {"q": "nobody at all"}))
    assert "@alice" in text(root.get("/staff/identities", {"q": world.alice.scid}))
    for page, words in (("sponsors", "No sponsors yet"), ("periods", "No period yet"), ("ledgers", "None yet")):
        assert words in text(root.get(f"/staff/{page}"))


def test_agreements_identities_and_entries_are_read(root: Client, world: World) -> None:
    earned(root, world.alice)
    page = text(root.get("/staff/agreements"))
    assert "The offer in force" in page
    assert page.index("Waits for a signature") < page.index(world.alice.scid or "")
    agreements.accept_default(scid=world.alice.scid or "")
    page = text(root.get("/staff/agreements"))
    assert page.index("<h2>Signed</h2>") < page.index(world.alice.scid or "")
    rows = LogEntry.objects.count()
    for index in range(rows):
        answer = root.get(f"/staff/entries/{index}")
        assert answer.status_code == 200, index
        assert root.post(f"/staff/entries/{index}").status_code == 405
    accrued = LogEntry.objects.get(type="accrue")
    assert f"L:unclaimed:{world.alice.scid}" in text(root.get(f"/staff/entries/{accrued.index}"))
    assert "/staff/entries/0" in text(root.get("/staff/ledgers"))
    admin = Client()
    admin.force_login(User.objects.create_superuser("super@example.org", "a long password"))
    for label, model in (("sponsors", "advertiser"), ("sponsors", "campaign"), ("identity", "identity")):
        listed = text(admin.get(f"/admin/{label}/{model}/"))
        address = re.search(rf"/admin/{label}/{model}/[^/\"]+/change/", listed)
        assert address, model
        assert admin.get(address[0]).status_code == 200
    assert bytes(CustodyKey.objects.all()[0].private_sealed).hex() not in text(admin.get(address[0]))
    act = {"action": "stop", "_selected_action": [Campaign.objects.get().pk], "confirmed": "1"}
    signed_in(world.charlie).post("/admin/sponsors/campaign/", act)
    assert Campaign.objects.get().state == "running"
    admin.post("/admin/sponsors/campaign/", act)
    assert Campaign.objects.get().state == "stopped"
    admin.post("/admin/sponsors/campaign/", {**act, "action": "run"})
    assert Campaign.objects.get().state == "running"


# --- wallet ---


def test_an_empty_wallet(client: Client, world: World) -> None:
    assert client.get("/wallet").status_code == 302
    charlie = signed_in(world.charlie)
    assert "Nothing earned yet" in text(charlie.get("/wallet"))
    assert charlie.get("/wallet/statement").status_code == 404
    assert charlie.get("/wallet/accept").status_code == 405
    assert charlie.post("/wallet/refresh").status_code == 302
    assert '"/wallet"' in text(charlie.get("/studio"))


def test_what_waits_unclaimed_is_signed_for_and_proven(root: Client, world: World, tmp_path: Path, capsys: Any) -> None:
    earned(root, world.alice)
    alice = signed_in(world.alice)
    assert "wait for your signature" in text(alice.get("/wallet"))
    assert "Nothing earned yet" in text(signed_in(world.charlie).get("/wallet"))
    assert alice.post("/wallet/accept").status_code == 302
    after = text(alice.get("/wallet"))
    assert "wait for your signature" not in after
    assert "18.00" in after, "90 % of 20.00, for no operating cost was published"
    answer = alice.get("/wallet/statement")
    assert answer["Content-Disposition"] == 'attachment; filename="statement-alice.statement.json.gz"'
    file = tmp_path / "statement.json.gz"
    file.write_bytes(answer.content)
    assert verify(["verify", "--json", str(file)]) == 0
    assert world.alice.scid in capsys.readouterr().out
    changed = gzip.decompress(answer.content).replace(b"18000000", b"28000000")
    file.write_bytes(gzip.compress(changed))
    assert verify(["verify", "--json", str(file)]) != 0


def test_the_terms_are_read_before_they_are_signed(root: Client, world: World) -> None:
    earned(root, world.alice)
    alice, ours = signed_in(world.alice), instance_keys.origin()
    assert "Read the terms and sign" in text(alice.get("/wallet"))
    page = text(alice.get("/wallet/sign", {"debtor": ours}))
    assert "65 %" in page
    assert "The creator" in page
    assert agreements.default_offer().id in page
    stale = alice.post("/wallet/sign", {"debtor": ours, "offer": "0" * 64})
    assert (stale.status_code, "terms have changed" in text(stale)) == (409, True)
    assert not Acceptance.objects.exists()
    assert alice.post("/wallet/sign", {"debtor": ours, "offer": agreements.default_offer().id}).status_code == 302
    assert "You signed its agreement on" in text(alice.get("/wallet"))
    # Charlie signs for himself alone, whoever's wallet he has seen.
    signed_in(world.charlie).post("/wallet/sign", {"debtor": ours})
    assert set(Acceptance.objects.values_list("scid", flat=True)) == {world.alice.scid, world.charlie.scid}


def test_another_instances_terms_are_signed_from_the_wallet(world: World, next_door: Neighbour) -> None:
    alice, scid = signed_in(world.alice), world.alice.scid or ""
    assert "follows no other ledger yet" in text(alice.get("/wallet"))
    play_month(next_door, scid)
    next_door.show_statement(scid, identities.log_bytes(identities.by_scid(scid)).splitlines())
    peer = peers.follow_log(instance_origin=next_door.origin)
    assert "1 ledger followed here" in text(alice.get("/wallet"))
    for address in ("/wallet/sign", "/wallet/sign?debtor=nowhere.example/ledger/1"):
        assert alice.get(address).status_code == 404
    assert alice.post("/wallet/refresh").status_code == 302
    assert "Waits for your signature" in text(alice.get("/wallet"))
    address = f"/wallet/sign?debtor={peer.origin}"
    page = text(alice.get(address))
    assert peer.origin in page
    assert "65 %" in page
    offer, next_door.offer = next_door.offer, None
    away = alice.get(address)
    assert (away.status_code, "cannot be signed with now" in text(away)) == (502, True)
    next_door.offer = offer
    assert alice.post("/wallet/sign", {"debtor": peer.origin}).status_code == 302
    signed = PeerAgreement.objects.get()
    assert "Its next statement will show it" in text(alice.get("/wallet"))
    file = f"/wallet/agreements/{signed.agreement_id}"
    assert alice.get(file).content == bytes(signed.document)
    assert signed_in(world.charlie).get(file).status_code == 404
    assert "Signed with" not in text(signed_in(world.charlie).get("/wallet"))
    assert Client().post("/wallet/sign", {"debtor": peer.origin}).status_code == 302
    assert PeerAgreement.objects.count() == 1


# --- identity ---


def test_the_identity_page_says_who_holds_the_keys(world: World) -> None:
    alice = signed_in(world.alice)
    page = text(alice.get("/settings/identity"))
    assert world.alice.scid in page
    assert "this server" in page
    assert "/u/alice/did.jsonl" in page
    assert Client().get("/settings/identity").status_code == 302


@pytest.mark.parametrize("address", ["", "x", "@", "bob@localhost:8000", "nobody@localhost:8000", "a@b@c", "\u0000@x", "x" * 400])
def test_moves_to_nowhere_stay_on_the_page(world: World, address: str) -> None:
    alice = signed_in(world.alice)
    assert alice.post("/settings/identity/bring", {"old_address": address}).status_code == 422
    assert alice.post("/settings/identity/leave", {"to_address": address, "sure": "on"}).status_code == 422
    world.alice.refresh_from_db()
    assert world.alice.moved_to is None


def test_leaving_needs_a_yes(world: World) -> None:
    answer = signed_in(world.alice).post("/settings/identity/leave", {"to_address": "alice@peer.example"})
    assert answer.status_code == 422
    assert "required" in text(answer)


def test_an_account_without_an_identity_yet(world: World) -> None:
    Account.objects.filter(pk=world.bob.pk).update(scid=None)
    bob = signed_in(world.bob)
    assert "being made" in text(bob.get("/settings/identity"))
    assert "Nothing earned yet" in text(bob.get("/wallet"))
    for address in ("/wallet/accept", "/wallet/refresh"):
        assert bob.post(address).status_code == 404
    assert bob.get("/wallet/statement").status_code == 404
    assert bob.get("/settings/identity/leave").status_code == 200
