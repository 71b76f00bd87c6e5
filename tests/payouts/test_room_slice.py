"""The thread through the room: money in, counted, shared, signed, cosigned, stated, believed elsewhere."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from payouts import accounts_root, checks, cosigning, instance_keys, peers, queries, revenue, statements
from payouts.ledger.__main__ import main
from payouts.models import SignedHead
from server.core import clock
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import UNIT, Room


def test_money_comes_in_is_shared_and_proven(room: Room, neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    period = room.month()
    assert period.state == "closed"
    assert revenue.balance(advertiser="acme", currency="EUR") == 40 * UNIT
    (alice,), (bob,) = queries.claims(room.alice.scid), queries.claims(room.bob.scid)
    assert queries.claims(room.charlie.scid) == []
    # No cost was published, so the operating share went back: 90 % to the two of them, by 3 to 2 impressions.
    assert (alice.payable, alice.unclaimed) == (5_400_000, 0)
    assert (bob.payable, bob.unclaimed) == (0, 3_600_000)
    (earning,) = queries.earnings(room.alice.scid)
    assert (earning.period, earning.amount, [line.work for line in earning.lines]) == ("2026-11", 5_400_000, ["work-a"])
    assert checks.find_problems() == []

    neighbour.follow(instance_keys.origin(), instance_keys.signer("ledger").verifier)
    peers.follow_log(instance_origin=neighbour.origin)
    cosigning.push_head()
    assert neighbour.instance.witness.name in SignedHead.objects.order_by("-size").first().cosignatures

    file = tmp_path / "statement.json.gz"
    file.write_bytes(statements.build(room.alice.scid))
    assert main(["verify", "--json", str(file)]) == 0
    verdict = json.loads(capsys.readouterr().out)
    (debtor,) = verdict["debtors"]
    assert debtor["origin"] == "localhost:8000/ledger/1"
    assert debtor["witnessed"]
    assert debtor["accounts"][0]["owed"] == "5400000"


def test_a_peers_statement_becomes_a_claim(room: Room, neighbour: Neighbour) -> None:
    from tests.payouts.played_month import play_month

    play_month(neighbour, room.alice.scid)
    neighbour.show_statement(room.alice.scid, [bytes(line.line) for line in room.alice.lines.order_by("number")])
    peer = peers.follow_log(instance_origin=neighbour.origin)
    assert (peer.size, peer.error) == (neighbour.log.edge.size, "")
    (claim,) = peers.refresh_claim(peer=peer, scid=room.alice.scid)
    assert (claim.currency, claim.balance, claim.unclaimed) == ("EUR", 0, 1_300_000)
    theirs = [one for one in queries.claims(room.alice.scid) if not one.is_ours]
    assert [one.debtor for one in theirs] == [neighbour.instance.origin]
    # Charlie is owed nothing there: nothing is stored, nothing fails.
    assert peers.refresh_claim(peer=peer, scid=room.charlie.scid) == []


def test_every_day_has_one_accounts_root(room: Room) -> None:
    room.month()
    first = accounts_root.commit_accounts(name="day/2026-11-22")
    again = accounts_root.commit_accounts(name="day/2026-11-22")
    assert first == again
    with clock.moved(timedelta(days=1)):
        assert accounts_root.commit_accounts(name="day/2026-11-23") != first
