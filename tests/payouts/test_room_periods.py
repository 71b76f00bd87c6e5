"""Periods and terms: planned, approved by another, shared once however often it is asked for; and every refusal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from nacl.signing import SigningKey

from payouts import agreements, checks, identities, instance_keys, log, metering, offers, queries, revenue, settlement
from payouts.ledger import canonical
from payouts.models import Acceptance, AccountHead, LogEntry, MeteredImpression, MeteredView, Period
from payouts.settlement import CampaignCharge, Unfunded
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.identity.facts import IdentityChanged
from tests.payouts.room import DAY, MONTH, UNIT, Room

pytestmark = pytest.mark.django_db
FIRST, SECOND = "admin@example.org", "second@example.org"


@contextmanager
def nothing_changes() -> Iterator[None]:
    def state() -> tuple[Any, ...]:
        return (
            LogEntry.objects.count(), Period.objects.count(), Acceptance.objects.count(),
            list(MeteredImpression.objects.order_by("pk").values()), list(MeteredView.objects.order_by("pk").values()),
            list(AccountHead.objects.order_by("pk").values()),
        )  # fmt: skip

    agreements.default_offer()
    before = state()
    yield
    assert state() == before


# --- planning ---


def test_an_unfunded_campaign_is_refused_and_nothing_changes(room: Room) -> None:
    room.fund(UNIT)
    room.watch()
    with nothing_changes(), pytest.raises(Unfunded):
        room.plan()
    room.fund(9 * UNIT, name="more")
    assert room.plan().amount == 10 * UNIT


def test_what_is_charged_was_metered(room: Room) -> None:
    room.fund()
    room.watch()
    for wrong in ({"work-a": 4}, {"work-a": 2, "work-b": -1}, {"work-z": 1}):
        invented = CampaignCharge("spring", "acme", 2_000 * UNIT, wrong)
        with nothing_changes(), pytest.raises(Invalid):
            settlement.plan_period(name=MONTH, currency="EUR", campaigns=[invented], by=FIRST)


def test_a_plan_that_no_entry_could_say_is_refused_before_it_is_approved(room: Room) -> None:
    room.fund()
    room.watch()
    spring = CampaignCharge("spring", "acme", 1_000 * UNIT, {"work-a": 1})
    for charges in ([spring, spring], [CampaignCharge("Spring", "acme", 1_000 * UNIT, {"work-a": 1})]):
        with nothing_changes(), pytest.raises(Invalid, match="campaign"):
            settlement.plan_period(name=MONTH, currency="EUR", campaigns=charges, by=FIRST)


@pytest.mark.parametrize("name", ["2026-13", "2026-02-30", "November", "2026-11.0", ""])
def test_a_period_is_a_month_or_a_day(room: Room, name: str) -> None:
    room.fund()
    room.watch()
    with nothing_changes(), pytest.raises(Invalid):
        room.plan(name)


def test_days_of_a_period() -> None:
    from payouts.periods import days_of

    assert days_of("2028-02") == (date(2028, 2, 1), date(2028, 2, 29))
    assert days_of("2026-11-22.3") == (date(2026, 11, 22), date(2026, 11, 22))


def test_one_period_of_a_pool_at_a_time_and_none_twice(room: Room) -> None:
    room.fund()
    room.watch()
    room.plan()
    with nothing_changes(), pytest.raises(Conflict):
        room.plan()
    room.watch()
    with nothing_changes(), pytest.raises(WrongState):
        room.plan("2026-11.2")


def test_a_planned_period_reserves_the_money_and_a_discarded_one_gives_everything_back(room: Room) -> None:
    room.fund()
    room.watch()
    impressions = metering.open_impressions(campaign="spring")
    period = room.plan()
    assert revenue.balance(advertiser="acme", currency="EUR") == 40 * UNIT
    assert sum(metering.open_impressions(campaign="spring").values()) == 0
    settlement.discard_plan(period=period, by=FIRST)
    assert revenue.balance(advertiser="acme", currency="EUR") == 50 * UNIT
    given_back = metering.open_impressions(campaign="spring")
    assert given_back == impressions
    assert room.plan().amount == 10 * UNIT


def test_an_impression_is_counted_by_one_period_only(room: Room) -> None:
    room.month()
    metering.count_impression(day=DAY, campaign="spring", work="work-b", creator_scid=room.bob.scid)
    period = room.plan("2026-11.2")
    assert period.amount == 2 * UNIT
    with pytest.raises(WrongState):
        settlement.discard_plan(period=settlement.approve_period(period=period, by=SECOND), by=FIRST)


# --- four eyes ---


def test_above_the_set_amount_another_person_approves(room: Room, settings: Any) -> None:
    settings.FOUR_EYES_AMOUNT_MILLIONTHS = 10 * UNIT
    room.fund()
    room.watch()
    period = room.plan()
    with nothing_changes(), pytest.raises(NotAllowed):
        settlement.approve_period(period=period, by=FIRST)
    with nothing_changes(), pytest.raises(WrongState):
        settlement.close_period(period=period, by=SECOND)
    approved = settlement.approve_period(period=period, by=SECOND)
    with pytest.raises(WrongState):
        settlement.approve_period(period=approved, by=SECOND)
    assert settlement.close_period(period=approved, by=FIRST).state == "closed"


def test_below_it_one_person_is_enough(room: Room, settings: Any) -> None:
    settings.FOUR_EYES_AMOUNT_MILLIONTHS = 10 * UNIT + 1
    room.fund()
    room.watch()
    assert settlement.approve_period(period=room.plan(), by=FIRST).state == "approved"


# --- closing ---


class PowerCut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("stage", ["_write_meter", "_write_charges", "_write_shares", "_finish"])
@pytest.mark.parametrize("persisted", [False, True])
def test_a_close_cut_at_any_stage_goes_on_and_shares_once(room: Room, stage: str, persisted: bool) -> None:
    room.fund()
    agreements.accept_default(scid=room.alice.scid)
    room.watch()
    period = settlement.approve_period(period=room.plan(), by=SECOND)
    real = getattr(settlement, stage)

    def cut(*args: Any, **kwargs: Any) -> Any:
        if persisted:
            real(*args, **kwargs)
        raise PowerCut

    with mock.patch.object(settlement, stage, cut), pytest.raises(PowerCut):
        settlement.close_period(period=period, by=SECOND)
    closed = settlement.close_period(period=period, by=SECOND)
    again = settlement.close_period(period=period, by=SECOND)
    assert (closed.state, again.close_entry_id) == ("closed", closed.close_entry_id)
    types = list(LogEntry.objects.order_by("index").values_list("type", flat=True))
    assert types.count("close") == types.count("charge") == types.count("meter") == 1
    assert types.count("accrue") == 2
    assert revenue.balance(advertiser="acme", currency="EUR") == 40 * UNIT
    assert checks.find_problems() == []


def test_the_parts_make_the_whole_to_the_last_unit(room: Room) -> None:
    period = room.month()
    shares = settlement.preview(period)
    owed = sum(one.amount for one in shares.accruals)
    assert owed + sum(shares.places.values()) + shares.carry == period.amount == 10 * UNIT
    meter = json.loads(bytes(LogEntry.objects.get(type="meter").data))["body"]
    assert (meter["qualified"], meter["impressions"], meter["rejected"]) == (5, 5, [["too_short", 1]])


def test_what_fell_on_nobody_is_carried_into_the_next_period(room: Room) -> None:
    room.fund()
    metering.count_impression(day=DAY, campaign="spring", work="", creator_scid="")
    first = room.close()
    assert (first.amount, first.carry) == (2 * UNIT, 2 * UNIT)
    room.watch()
    second = room.close("2026-11.2")
    assert (second.amount, second.carried_in, second.carry) == (10 * UNIT, 2 * UNIT, 0)
    assert sum(one.amount for one in settlement.preview(second).accruals) == 10_800_000
    assert checks.find_problems() == []


def test_a_creator_without_identity_leaves_her_share_to_the_others(room: Room) -> None:
    room.fund()
    room.watch()
    metering.count_impression(day=DAY, campaign="spring", work="work-x", creator_scid="")
    period = room.close()
    assert {one.scid for one in settlement.preview(period).accruals} == {room.alice.scid, room.bob.scid}


# --- terms ---


def test_who_signs_later_gets_what_waited(room: Room) -> None:
    room.month()
    (before,) = queries.claims(room.bob.scid)
    assert (before.payable, before.unclaimed) == (0, 3_600_000)
    agreements.accept_default(scid=room.bob.scid)
    (after,) = queries.claims(room.bob.scid)
    assert (after.payable, after.unclaimed) == (3_600_000, 0)
    size = LogEntry.objects.count()
    agreements.accept_default(scid=room.bob.scid)
    assert LogEntry.objects.count() == size
    assert checks.find_problems() == []


def test_only_her_own_key_signs_for_her(room: Room) -> None:
    with nothing_changes(), pytest.raises(Invalid, match="bad_signature"):
        agreements.accept_default(scid=room.alice.scid, key=SigningKey(b"\x01" * 32))
    with nothing_changes(), pytest.raises(NotFound):
        agreements.accept_default(scid="Qm" + "1" * 44)


def signed(room: Room, **changes: Any) -> bytes:
    from server.identity import queries as known

    document = {**agreements.prepare_acceptance(scid=room.alice.scid), **changes}
    document = offers.draft({name: value for name, value in document.items() if name not in ("id", "proof", "v")})
    key = known.custody_key(room.alice, "user")
    method = agreements.member(room.alice.scid).method
    return canonical.encode(offers.sign(document, key=key, verification_method=method, created=log.clock.now()))


def shares(scid: str, creator: int, operating: int) -> dict[str, Any]:
    rows = sorted([(scid, creator), ("operating", operating)])
    table = [{"to": to, "share_millionths": share} for to, share in rows]
    return {"contextual": table, "personal": table}


def test_an_agreement_whose_shares_do_not_sum_or_differ_is_refused(room: Room) -> None:
    scid = room.alice.scid
    with nothing_changes(), pytest.raises(Invalid, match="shares_do_not_sum"):
        agreements.accept(data=signed(room, shares=shares(scid, 650_000, 349_999)))
    with nothing_changes(), pytest.raises(Invalid, match="not the terms"):
        agreements.accept(data=signed(room, shares=shares(scid, 999_999, 1)))
    with nothing_changes(), pytest.raises(Invalid, match="bad_agreement_id"):
        agreements.accept(data=signed(room).replace(b'"notice_days":30', b'"notice_days":31'))
    assert agreements.accept(data=signed(room)).scid == scid


# --- money in ---


@pytest.mark.parametrize(
    "wrong",
    [{"gross": 0}, {"gross": -5}, {"fee": UNIT}, {"evidence": b""}, {"id": "x"}, {"currency": "euro"}, {"advertiser": "A B"}],
)
def test_funding_is_refused(room: Room, wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "advertiser": "acme", "currency": "EUR", "gross": UNIT, "fee": 0, "source": "bank", "reference": "7",
        "evidence": b"paper", "by": FIRST, "id": "a" * 32,
    }  # fmt: skip
    with nothing_changes(), pytest.raises(Invalid):
        revenue.fund_advertiser(**{**good, **wrong})
    revenue.fund_advertiser(**good)
    revenue.fund_advertiser(**good)
    assert revenue.balance(advertiser="acme", currency="EUR") == UNIT
    with nothing_changes(), pytest.raises(Conflict):
        revenue.fund_advertiser(**{**good, "gross": 2 * UNIT})


def test_evidence_is_not_shown_to_strangers(room: Room, client: Client) -> None:
    room.fund(evidence=b"account numbers")
    body = json.loads(bytes(LogEntry.objects.get(type="revenue").data))["body"]
    assert client.get(f"/ledger/1/blob/{body['evidence']}").status_code == 404


# --- identities ---


def test_identities_that_live_here_are_logged_once_and_strangers_never(room: Room) -> None:
    fact = IdentityChanged(scid=room.alice.scid, version_id=room.alice.head_version_id)
    identities.log_identity(fact)
    identities.log_identity(fact)
    assert LogEntry.objects.filter(type="identity").count() == 1
    identities.log_identity(IdentityChanged(scid="Qm" + "1" * 44, version_id="1-Qm" + "1" * 44))
    assert LogEntry.objects.filter(type="identity").count() == 1


# --- doors ---


def test_files_of_the_log_are_served_and_nothing_else(room: Room, client: Client) -> None:
    assert client.get("/ledger/1/checkpoint").status_code == 404
    room.month()
    checkpoint = client.get("/ledger/1/checkpoint")
    size = int(checkpoint.content.split(b"\n")[1])
    assert (checkpoint.status_code, checkpoint["cache-control"]) == (200, "public, max-age=5")
    tile = client.get(f"/ledger/1/tile/0/000.p/{size}")
    assert (tile.status_code, len(tile.content)) == (200, 32 * size)
    assert tile["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get(f"/ledger/1/tile/entries/000.p/{size}").status_code == 200
    for wrong in (f"0/000.p/{size + 1}", "0/001", "0/000.p/0", "../head", "0/000.p/..%2f..%2fhead", "64/000.p/1"):
        assert client.get(f"/ledger/1/tile/{wrong}").status_code == 404
    entry = client.get("/ledger/1/entry/0")
    assert (json.loads(entry.content)["type"], entry["access-control-allow-origin"]) == ("genesis", "*")
    assert client.get(f"/ledger/1/entry/{size}").status_code == 404
    close = json.loads(bytes(LogEntry.objects.get(type="close").data))["body"]
    assert client.get(f"/ledger/1/blob/{close['inputs']}").status_code == 200
    assert client.get("/ledger/1/blob/../../head").status_code == 404
    assert client.get(f"/ledger/1/statement/{room.alice.scid}")["content-type"] == "application/gzip"
    assert client.get(f"/ledger/1/statement/{room.charlie.scid}").status_code == 404
    assert client.get("/ledger/1/statement/nobody").status_code == 404
    assert client.post("/ledger/1/checkpoint").status_code == 405


def test_nodeinfo_says_where_the_ledger_is(room: Room, client: Client) -> None:
    assert "ledger" not in client.get("/nodeinfo/2.1").json()["metadata"]
    log.begin_log()
    assert client.get("/nodeinfo/2.1").json()["metadata"]["ledger"] == {
        "origin": "localhost:8000/ledger/1",
        "url": "http://localhost:8000/ledger/1",
        "vkey": str(instance_keys.signer("ledger").verifier),
    }


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command("ledger", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command(room: Room, tmp_path: Path) -> None:
    assert run("status")["size"] == 1
    room.fund()
    room.watch()
    settlement.approve_period(period=room.plan(), by=SECOND)
    assert run("close", MONTH)["amount"] == 10 * UNIT
    assert run("verify")["problems"] == []
    file = tmp_path / "statement"
    assert run("statement", room.bob.scid, "--to", str(file))["bytes"] == file.stat().st_size
    with pytest.raises(CommandError):
        run("statement", room.charlie.scid)
    with pytest.raises(CommandError):
        run("close", "2026-10")
    AccountHead.objects.update(held=3)
    with pytest.raises(CommandError, match="not whole"):
        run("verify")
