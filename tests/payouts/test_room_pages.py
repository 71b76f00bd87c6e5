"""The ledger for people: what stands in it, for everybody who comes, and nothing that is not public."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from payouts import (
    audit,
    closes,
    cosigning,
    entry_reports,
    heads,
    instance_keys,
    judging,
    log,
    metering,
    mirror,
    overview,
    peers,
    pins,
    proof_path,
    standing,
    store,
)
from payouts.ledger.checkpoint import cosign, open_checkpoint
from payouts.ledger.entries import Draft, parse_entry
from payouts.ledger.errors import LedgerError, ProofTooLong, ProofTooShort, RootMismatch
from payouts.ledger.merkle import check_inclusion, hashes, nodes_of, prove_inclusion, root_of
from payouts.ledger.note import VerifierKey
from payouts.ledger.policy import parse_policy
from payouts.ledger.tlogproof import check_tlog_proof, parse_tlog_proof
from payouts.mirror_files import name_of
from payouts.models import Dispute, EntryOfAccount, LogEntry, PeerLog, PeerMirror, SignedHead
from server.core import clock
from tests.payouts.audited_month import one_unit_more, play
from tests.payouts.ledger_world import digest, draft_id
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import DAY, MONTH, UNIT, Room
from tests.payouts.test_room_peers import followed, fork_same_size

pytestmark = pytest.mark.django_db

PAGES = ["/ledger/", "/ledger/entries", "/ledger/settlements", "/ledger/disputes", "/ledger/peers"]
MACHINES = ["/ledger/1/checkpoint", "/ledger/1/entry/0", "/ledger/1/tile/entries/000.p/1"]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    judging._judges.clear()
    cache.clear()


def shown(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, f"{address}: {answer.status_code}"
    return re.sub(r"\s+", " ", answer.content.decode())


def our_key() -> VerifierKey:
    return instance_keys.ledger_keys().newest


def audited(neighbour: Neighbour, **lies: Any) -> PeerLog:
    play(neighbour, **lies)
    peer = followed(neighbour)
    mirror.mirror_peer(peer)
    audit.audit_peer(peer)
    return peer


# --- before anything ---


def test_before_the_genesis_every_page_says_what_would_fill_it(client: Client) -> None:
    for page in PAGES:
        shown(client, page)
    assert "The ledger has not begun" in shown(client, "/ledger/")
    for missing in ("/ledger/entries/0", "/ledger/entries/0.tlog-proof", "/ledger/settlements/0", f"/ledger/peers/{'0' * 64}"):
        shown(client, missing, status=404)
    # To look is not to begin: no entry, no file.
    assert not LogEntry.objects.exists()
    assert store.read_head().size == 0


def test_an_address_that_is_none_of_ours_is_refused(client: Client, room: Room) -> None:
    room.fund()
    for address in ("/ledger/entries?before=x", "/ledger/entries?before=-1", f"/ledger/settlements?before={'9' * 19}"):
        shown(client, address, status=422)
    for address in (
        f"/ledger/entries/{10**30}",
        f"/ledger/settlements/{10**30}",
        "/ledger/entries/7777",
        "/ledger/settlements/0",
    ):
        shown(client, address, status=404)
    # The addresses of programs are what they were.
    assert [client.get(address)["Content-Type"].split(";")[0] for address in MACHINES] == [
        "text/plain", "application/json", "application/octet-stream",
    ]  # fmt: skip


# --- the overview ---


def test_the_overview_says_the_head_and_how_it_grows(client: Client, room: Room) -> None:
    room.month()
    head = store.read_head()
    page = shown(client, "/ledger/")
    assert f"<dd>{head.size}</dd>" in page
    assert head.root.hex() in page
    assert "Nobody else vouches" in page
    days = overview.overview().days
    assert len(days) == overview.DAYS_SHOWN
    assert sum(one.entries for one in days) == days[-1].entries == head.size
    assert f"{head.size} entries in the last 30 days" in page


def test_days_are_those_on_which_entries_were_written(room: Room) -> None:
    log.begin_log()
    first = clock.now()
    with clock.moved(timedelta(days=1)):
        room.fund()
        room.fund(name="second", evidence=b"another")
        with clock.moved(timedelta(days=3)):
            days = {one.day: one.entries for one in overview.overview().days if one.entries}
    size = store.read_head().size
    assert days[(first + timedelta(days=1)).date()] == 2
    assert sum(days.values()) == size


def test_a_witness_and_its_lag_are_seen(client: Client, room: Room, neighbour: Neighbour) -> None:
    followed(neighbour)
    neighbour.follow(instance_keys.origin(), our_key())
    room.fund()
    cosigning.push_head()
    name = neighbour.instance.witness.verifier.name
    page = shown(client, "/ledger/")
    assert "Everything is as it should be" in page
    assert f"{name}</strong> as witness" in page
    (row,) = overview.overview().witnesses
    assert (row.name, row.lag, row.has_cosigned) == (name, 0, True)
    room.fund(name="second", evidence=b"another")
    (row,) = overview.overview().witnesses
    assert (row.lag, row.has_cosigned) == (1, False)
    page = shown(client, "/ledger/")
    assert "The newest head waits for its witnesses" in page
    assert "1 entry behind" in page


def test_a_cosignature_that_does_not_verify_vouches_for_nothing(client: Client, room: Room, neighbour: Neighbour) -> None:
    followed(neighbour)
    room.fund()
    row = SignedHead.objects.order_by("-size")[0]
    right = cosign(open_checkpoint(row.full_note, origin=instance_keys.origin(), log_keys=[our_key()]).checkpoint,
                   neighbour.instance.witness, 1_800_000_000)  # fmt: skip
    # Of another head, in the same words.
    older = SignedHead.objects.order_by("size")[0]
    wrong = cosign(open_checkpoint(older.full_note, origin=instance_keys.origin(), log_keys=[our_key()]).checkpoint,
                   neighbour.instance.witness, 1_800_000_000)  # fmt: skip
    SignedHead.objects.filter(pk=row.pk).update(cosignatures=f"{right}\n")
    assert len(heads.open_row(SignedHead.objects.get(pk=row.pk)).by("witness")) == 1
    SignedHead.objects.filter(pk=row.pk).update(cosignatures=f"{wrong}\n")
    with pytest.raises(store.LogDamaged):
        heads.open_row(SignedHead.objects.get(pk=row.pk))
    shown(client, "/ledger/", status=503)


def test_a_read_only_ledger_says_so_everywhere_it_matters(client: Client, room: Room) -> None:
    room.fund()
    assert "read-only" not in shown(client, "/ledger/") + shown(client, "/ledger/disputes")
    standing.suspend(reason="a witness saw more", here=2, seen=7, by="secretive.example")
    for page in ("/ledger/", "/ledger/disputes"):
        text = shown(client, page)
        assert "read-only" in text
        assert "7 entries were signed, and 2 are here" in text
        assert "secretive.example" not in text
    assert told(client, "")["state"] == "read_only"
    standing.lift()
    assert "read-only" not in shown(client, "/ledger/")


# --- entries ---


def test_every_entry_of_a_month_has_a_page_with_a_proof(client: Client, room: Room) -> None:
    room.month()
    size, root = store.read_head().size, store.read_head().root
    for row in LogEntry.objects.order_by("index"):
        page = shown(client, f"/ledger/entries/{row.index}")
        report = entry_reports.report(row.index)
        assert report.proof.is_right
        check_inclusion(report.proof.leaf, row.index, size, report.proof.hashes, root)
        assert report.title in page
        assert report.proof.leaf.hex() in page
        assert all(one.hex() in page for one in report.proof.hashes)
        assert page.count('class="is-given"') == 2 * len(report.proof.hashes)
    assert {row.index for row in LogEntry.objects.all()} == {
        int(index) for index in re.findall(r"/ledger/entries/(\d+)\"", shown(client, "/ledger/entries"))
    }


def test_the_proof_is_a_file_that_verifies_and_fails_for_another_entry(client: Client, room: Room) -> None:
    room.month()
    answer = client.get("/ledger/entries/2.tlog-proof")
    assert answer["Content-Disposition"] == 'attachment; filename="entry-2.tlog-proof"'
    proof = parse_tlog_proof(answer.content)
    keys, policy = [our_key()], parse_policy(f"log {our_key()}\nquorum none\n".encode())
    leaves = [parse_entry(bytes(row.data)).leaf for row in LogEntry.objects.order_by("index")]
    check_tlog_proof(proof, leaves[2], origin=instance_keys.origin(), log_keys=keys, policy=policy)
    with pytest.raises(RootMismatch):
        check_tlog_proof(proof, leaves[3], origin=instance_keys.origin(), log_keys=keys, policy=policy)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_the_steps_of_a_proof_lead_to_the_root_and_cover_the_tree(size: int) -> None:
    leaves = hashes(bytes([number]) for number in range(size))
    for index in range(size):
        proof = prove_inclusion(nodes_of(leaves), index, size)
        steps = proof_path.steps(leaves[index], index, size, proof)
        assert (steps[-1].parent if steps else leaves[index]) == root_of(leaves)
        covered = {index}
        for step in steps:
            beside = set(range(step.sibling_low, step.sibling_high + 1))
            assert root_of([leaves[one] for one in sorted(beside)]) == step.sibling
            assert not covered & beside
            covered |= beside
            assert covered == set(range(step.parent_low, step.parent_high + 1))
        with pytest.raises(ProofTooLong):
            proof_path.steps(leaves[index], index, size, [*proof, leaves[0]])
        if proof:
            with pytest.raises(ProofTooShort):
                proof_path.steps(leaves[index], index, size, proof[:-1])


def test_an_entry_leads_to_its_neighbours_and_along_the_account(client: Client, room: Room) -> None:
    room.month()
    room.watch()
    room.close(f"{MONTH}.2")
    first, second = EntryOfAccount.objects.filter(scid=room.alice.scid).order_by("seq").values_list("entry_id", flat=True)
    page = shown(client, f"/ledger/entries/{second}")
    assert f'href="/ledger/entries/{first}">Its step before' in page
    assert f'rel="prev" href="/ledger/entries/{second - 1}"' in page
    assert f'rel="next" href="/ledger/entries/{second + 1}"' in page
    assert f'href="/ledger/entries/{second}">Its next step' in shown(client, f"/ledger/entries/{first}")
    assert "This is its first step" in shown(client, f"/ledger/entries/{first}")
    last = store.read_head().size - 1
    assert 'rel="next"' not in shown(client, f"/ledger/entries/{last}")


def test_a_missing_file_of_the_ledger_is_said_and_breaks_nothing(client: Client, room: Room) -> None:
    room.fund()
    for tile in (store.folder() / "1" / "tile" / "0").rglob("*"):
        if tile.is_file():
            tile.unlink()
    shown(client, "/ledger/entries/0", status=503)


# --- settlements ---


def test_a_close_adds_up_to_the_last_millionth(client: Client, room: Room) -> None:
    period = room.month()
    assert period.close_entry_id is not None
    found = closes.arithmetic(period.close_entry_id)
    assert found.is_right
    assert found.came_in == found.went_out == found.close.amount == period.amount
    assert sum(one.amount for one in found.shares) == found.shared
    assert [one.scid for one in found.shares] == sorted([room.alice.scid, room.bob.scid])
    page = shown(client, f"/ledger/settlements/{period.close_entry_id}")
    assert "It adds up." in page
    assert room.alice.scid in page
    assert f'href="/ledger/1/blob/{found.close.inputs}"' in page
    assert client.get(f"/ledger/1/blob/{found.close.inputs}").status_code == 200
    listed = shown(client, "/ledger/settlements")
    assert MONTH in listed
    assert found.close.code in listed
    assert "No auditor" in listed


def test_a_carry_is_on_both_sides(room: Room) -> None:
    room.fund()
    metering.count_impression(day=DAY, campaign="spring", work="", creator_scid="")
    first = room.close()
    room.watch()
    second = room.close(f"{MONTH}.2")
    before, after = (closes.arithmetic(one.close_entry_id or 0) for one in (first, second))
    assert (before.close.carry, before.shared, before.is_right) == (2 * UNIT, 0, True)
    assert (after.carried_in, after.close.carry, after.is_right) == (2 * UNIT, 0, True)


def test_a_close_whose_rows_lack_a_share_does_not_add_up(client: Client, room: Room) -> None:
    period = room.month()
    EntryOfAccount.objects.filter(scid=room.bob.scid).delete()
    assert "It does not add up" in shown(client, f"/ledger/settlements/{period.close_entry_id}")


def test_the_auditors_of_others_are_named_under_what_they_ran_again(client: Client, room: Room, neighbour: Neighbour) -> None:
    followed(neighbour)
    period = room.month()
    row = SignedHead.objects.order_by("-size")[0]
    checkpoint = open_checkpoint(row.full_note, origin=instance_keys.origin(), log_keys=[our_key()]).checkpoint
    line = cosign(checkpoint, neighbour.instance.auditor, 1_800_000_000)
    SignedHead.objects.filter(pk=row.pk).update(cosignatures=f"{line}\n")
    name = neighbour.instance.auditor.verifier.name
    for page in ("/ledger/settlements", f"/ledger/settlements/{period.close_entry_id}"):
        assert name in shown(client, page)
    # Under a head that ends inside of the batch it says nothing of this close.
    SignedHead.objects.filter(pk=row.pk).update(cosignatures="")
    older = SignedHead.objects.filter(size__lte=period.close_entry_id).order_by("-size")[0]
    checkpoint = open_checkpoint(older.full_note, origin=instance_keys.origin(), log_keys=[our_key()]).checkpoint
    line = cosign(checkpoint, neighbour.instance.auditor, 1_800_000_000)
    SignedHead.objects.filter(pk=older.pk).update(cosignatures=f"{line}\n")
    assert name not in shown(client, "/ledger/settlements")


# --- others ---


def test_an_honest_neighbour_is_shown_as_equal(client: Client, neighbour: Neighbour) -> None:
    audited(neighbour)
    name = name_of(neighbour.instance.origin)
    assert "Every settlement equal" in shown(client, "/ledger/peers")
    page = shown(client, f"/ledger/peers/{name}")
    assert "1 of 1 came out equal" in page
    assert "that of an auditor" in page
    assert "3 of 3 works compared" in shown(client, "/ledger/settlements")
    assert "None." in shown(client, "/ledger/disputes")


def test_a_neighbour_that_lies_is_shown_with_the_document(client: Client, neighbour: Neighbour) -> None:
    audited(neighbour, told_shares=one_unit_more)
    dispute = Dispute.objects.get()
    assert "A settlement differs" in shown(client, "/ledger/peers")
    page = shown(client, "/ledger/disputes")
    assert f"/ledger/disputes/{dispute.digest}" in page
    assert f"/ledger/entries/{dispute.entry_id}" in page
    assert client.get(f"/ledger/disputes/{dispute.digest}").status_code == 200
    assert "payee-differs" in shown(client, f"/ledger/peers/{name_of(neighbour.instance.origin)}")
    assert "payee-differs" in shown(client, f"/ledger/entries/{dispute.entry_id}")


def test_a_fork_is_shown_with_its_proof_and_the_command(client: Client, neighbour: Neighbour) -> None:
    peer = audited(neighbour)
    assert "verify-fork" not in shown(client, "/ledger/disputes")
    fork_same_size(neighbour)
    with pytest.raises(LedgerError):
        peers.refresh(peer)
    name = name_of(peer.origin)
    page = shown(client, "/ledger/disputes")
    assert f'href="/ledger/forks/{name}"' in page
    assert "python -m payouts.ledger verify-fork fork.json --key" in page
    assert str(neighbour.instance.ledger.verifier) in page
    assert "Signed two books" in shown(client, "/ledger/peers")
    assert "signed two different books" in shown(client, f"/ledger/peers/{name}")
    assert "of them signed two different books" in shown(client, "/ledger/")


def test_what_others_dispute_is_read_from_their_ledgers(client: Client, neighbour: Neighbour) -> None:
    play(neighbour)
    body = {"origin": "charlie.example/ledger/1", "size": 9, "index": 7, "rule": "payee-differs", "evidence": digest("x")}
    neighbour.log.append("2026-11-21T09:00:00Z", Draft("audit.dispute", draft_id("dispute"), body, {}))
    mirror.mirror_peer(followed(neighbour))
    page = shown(client, "/ledger/disputes")
    assert "charlie.example/ledger/1" in page
    assert neighbour.instance.origin in page


HOSTILE = "</td><script>alert(1)</script>\u202e'\""


def test_what_others_wrote_is_shown_as_text(client: Client, neighbour: Neighbour) -> None:
    peer = audited(neighbour)
    copy = PeerMirror.objects.get()
    verdicts = {index: {**one, "reason": HOSTILE, "rule": HOSTILE, "period": HOSTILE, "verdict": "differs", "payee": HOSTILE}
                for index, one in copy.verdicts.items()}  # fmt: skip
    PeerMirror.objects.update(verdicts=verdicts, error=HOSTILE)
    PeerLog.objects.update(error=HOSTILE)
    Dispute.objects.create(digest="a" * 64, origin=peer.origin, size=1, index=0, rule=HOSTILE, document=b"{}")
    for page in [*PAGES, f"/ledger/peers/{name_of(peer.origin)}"]:
        assert "alert(1)</script>" not in shown(client, page)
    assert "&lt;script&gt;alert(1)" in shown(client, f"/ledger/peers/{name_of(peer.origin)}")


# --- everybody, and nothing private ---


def test_a_visitor_sees_all_of_it_and_nothing_private(client: Client, room: Room, neighbour: Neighbour) -> None:
    peer = audited(neighbour, told_shares=one_unit_more)
    pins.hear(peer, neighbour.checkpoint(), source="whispering.example")
    period = room.month()
    secrets = ["admin@example.org", "second@example.org", "bank statement", "whispering.example"]
    pages = [*PAGES, f"/ledger/settlements/{period.close_entry_id}", f"/ledger/peers/{name_of(peer.origin)}"]
    pages += [f"/ledger/entries/{index}" for index in range(store.read_head().size)]
    for page in pages:
        text = shown(client, page)
        assert not [secret for secret in secrets if secret in text], page
    # The evidence of the payment is named, and not to be had.
    funded = LogEntry.objects.get(type="revenue")
    evidence = json.loads(bytes(funded.data))["body"]["evidence"]
    page = shown(client, f"/ledger/entries/{funded.index}")
    assert evidence in page
    assert f"/ledger/1/blob/{evidence}" not in page
    assert client.get(f"/ledger/1/blob/{evidence}").status_code == 404


def test_a_blob_that_was_erased_is_named_and_not_linked(client: Client, room: Room) -> None:
    period = room.month()
    inputs = closes.arithmetic(period.close_entry_id or 0).close.inputs
    (store.folder() / "1" / "blob" / inputs[:2] / inputs).unlink()
    for page in (
        f"/ledger/settlements/{period.close_entry_id}",
        "/ledger/settlements",
        f"/ledger/entries/{period.close_entry_id}",
    ):
        text = shown(client, page)
        assert "not shown here any more" in text
        assert f'href="/ledger/1/blob/{inputs}"' not in text


def test_pages_ask_the_database_a_bounded_number_of_times(
    client: Client, room: Room, neighbour: Neighbour, django_assert_max_num_queries: Any
) -> None:
    audited(neighbour)
    period = room.month()
    for number in range(30):
        room.fund(amount=UNIT, name=f"more {number}", evidence=str(number).encode())
    limits = {
        "/ledger/": 14, "/ledger/entries": 3, "/ledger/entries/3": 9, f"/ledger/settlements/{period.close_entry_id}": 9,
        "/ledger/settlements": 9, "/ledger/disputes": 9, "/ledger/peers": 5,
        f"/ledger/peers/{name_of(neighbour.instance.origin)}": 6,
    }  # fmt: skip
    for page, count in limits.items():
        with django_assert_max_num_queries(count):
            shown(client, page)


# --- the same for programs ---


def told(client: Client, address: str, status: int = 200) -> Any:
    answer = client.get(f"/api/tributary/v1/ledger{address}")
    assert answer.status_code == status, f"{address}: {answer.content!r}"
    return answer.json()


def test_programs_get_what_the_pages_show(client: Client, room: Room, neighbour: Neighbour) -> None:
    assert told(client, "")["head"] is None
    assert told(client, "/entries")["results"] == []
    peer = audited(neighbour, told_shares=one_unit_more)
    period = room.month()
    head = store.read_head()
    seen = told(client, "")
    assert (seen["head"]["size"], seen["head"]["root"], seen["state"]) == (head.size, head.root.hex(), "writable")
    first = told(client, "/entries?count=4")
    second = client.get(first["next"].removeprefix("http://testserver")).json()
    assert [one["index"] for one in first["results"] + second["results"]] == list(range(head.size - 1, head.size - 9, -1))
    entry = told(client, f"/entries/{period.close_entry_id}")
    assert entry["body"] == json.loads(bytes(LogEntry.objects.get(index=period.close_entry_id).data))["body"]
    check_inclusion(
        bytes.fromhex(entry["proof"]["leaf"]), entry["index"], head.size, list(map(bytes.fromhex, entry["proof"]["hashes"])), head.root
    )  # fmt: skip
    (close,) = told(client, "/settlements")["results"]
    added = told(client, f"/settlements/{close['index']}")
    assert added["is_right"] is True
    assert sum(int(one["amount"]) for one in added["shares"]) == int(added["shared"])
    assert told(client, f"/settlements/{close['index']}?start=1")["shares"] == added["shares"][1:]
    (raised,) = told(client, "/disputes")["raised"]
    assert (raised["origin"], raised["rule"]) == (peer.origin, "payee-differs")
    assert told(client, "/peers")["results"] == [told(client, f"/peers/{name_of(peer.origin)}")]
    assert told(client, f"/peers/{name_of(peer.origin)}")["state"] == "unequal"
    for missing in ("/entries/999", f"/entries/{10**30}", "/settlements/0", f"/peers/{'0' * 64}"):
        assert told(client, missing, status=404)["code"] == "not_found"
    assert told(client, f"/settlements/{close['index']}?start=-1", status=422)["code"] == "invalid"
