"""The auditor: an honest neighbour is cosigned, one that lies is disputed with the first payee that differs."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from payouts import agreements, audit, cosigning, instance_keys, judging, mirror, peers, reexecution, store
from payouts.agreement import parse_agreement
from payouts.dispute_document import check_dispute
from payouts.ledger import canonical
from payouts.ledger.checkpoint import CHECKPOINT_BYTES_MAX, cosign, open_checkpoint
from payouts.ledger.entries import Draft, parse_entry
from payouts.ledger.errors import TooLarge
from payouts.ledger.multikey import multikey_bytes
from payouts.ledger.note import COSIGNATURE, Signer
from payouts.mirror_files import MirrorFiles, name_of
from payouts.models import Agreement, Dispute, LogEntry, PeerLog, SignedHead
from payouts.reexecution import Close, Differs, reexecute
from tests.payouts.audited_month import AMOUNT, one_unit_more, play, scids, terms_of
from tests.payouts.ledger_world import UNIT
from tests.payouts.neighbour import NOW, Neighbour
from tests.payouts.room import Room
from tests.payouts.test_room_peers import followed, grow

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_judges() -> Iterator[None]:
    yield
    judging._judges.clear()


def audited(neighbour: Neighbour) -> audit.AuditReport:
    peer = peers.follow_log(instance_origin=neighbour.origin)
    assert mirror.mirror_peer(peer).error == ""
    return audit.audit_peer(peer)


def close_index(neighbour: Neighbour) -> int:
    return max(entry.index for entry in neighbour.log.entries if entry.type == "close")


def test_an_honest_close_is_cosigned_with_the_auditors_own_key(neighbour: Neighbour, client: Client) -> None:
    shares = play(neighbour)
    report = audited(neighbour)
    (verdict,) = report.closes
    assert (verdict.index, verdict.verdict, verdict.works, verdict.sampled) == (close_index(neighbour), "equal", 3, 3)
    assert (report.cosigned_size, report.disputes, report.error) == (neighbour.log.edge.size, (), "")
    assert report.as_json()["stage_a"].startswith("by sample only: 3 of 3 works")
    note = client.get(f"/ledger/peers/{name_of(neighbour.instance.origin)}/mirrored").content
    keys = [instance_keys.signer(role).verifier for role in ("auditor", "mirror", "witness")]
    signed = open_checkpoint(
        note, origin=neighbour.instance.origin, log_keys=[neighbour.instance.ledger.verifier], cosigners=keys
    )
    assert [signed.note.signed_by(key) is not None for key in keys] == [True, True, False]
    # The lines of every accrual were made again.
    files = MirrorFiles(mirror.mirror_of(PeerLog.objects.get()))
    assert all(files.blob(sha256(one.lines).hexdigest()) == one.lines for one in shares.accruals)
    # Nothing new, nothing to do; a second month is audited alone.
    assert audit.audit_peer(PeerLog.objects.get()).closes == ()
    play(neighbour, period="2026-12", at="2026-12-20T09:00:00Z", terms=terms_of(neighbour))
    again = audited(neighbour)
    assert ([one.period for one in again.closes], again.cosigned_size) == (["2026-12 EUR"], neighbour.log.edge.size)


def test_one_unit_more_for_one_creator_is_disputed_by_name(neighbour: Neighbour, client: Client) -> None:
    play(neighbour, told_shares=one_unit_more)
    report = audited(neighbour)
    (verdict,) = report.closes
    liked = scids()[-1]
    assert (verdict.verdict, verdict.rule, verdict.payee) == ("differs", "payee-differs", liked)
    assert report.cosigned_size == 0
    dispute = Dispute.objects.get()
    document = client.get(f"/ledger/disputes/{dispute.digest}").content
    finding = check_dispute(
        document,
        log_keys=[neighbour.instance.ledger.verifier],
        instance=multikey_bytes(instance_keys.instance_public(), "ed25519"),
    )
    entry = canonical.decode(finding.entry, bytes_max=4096)
    assert (finding.rule, finding.index, entry["type"], entry["body"]["scid"]) == (
        "payee-differs", neighbour.log.entries[finding.index].index, "accrue", liked,
    )  # fmt: skip
    expected, found = finding.finding["expected"], finding.finding["found"]
    assert int(found["amount"]) - int(expected["amount"]) == UNIT
    assert LogEntry.objects.filter(type="audit.dispute").count() == 1
    # Said once, however often it is looked at, and never cosigned afterwards.
    grow(neighbour, "later")
    assert audited(neighbour).cosigned_size == 0
    assert Dispute.objects.count() == 1


def other_shares(inputs: dict[str, Any]) -> dict[str, Any]:
    (one,) = inputs["agreements"]
    tables = {table: dict(rows) for table, rows in inputs["agreements"][one]["shares"].items()}
    tables["contextual"] = {**tables["contextual"], "creator": 600_000, "operating": 300_000}
    return {**inputs, "agreements": {one: {"parties": [], "shares": tables}}}


def more_money(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "campaigns": [{"campaign": "spring", "amount": str(AMOUNT - UNIT)}]}


def more_views(inputs: dict[str, Any]) -> dict[str, Any]:
    first, *rest = inputs["works"]
    return {**inputs, "works": [{**first, "weight_ms": first["weight_ms"] * 9}, *rest]}


def more_impressions(inputs: dict[str, Any]) -> dict[str, Any]:
    first, *rest = inputs["impressions"]
    return {**inputs, "impressions": [{**first, "count": first["count"] + 5}, *rest]}


def moved_impressions(inputs: dict[str, Any]) -> dict[str, Any]:
    first, second, *rest = inputs["impressions"]
    moved = [{**first, "count": first["count"] + 5}, {**second, "count": second["count"] - 5}]
    return {**inputs, "impressions": [*moved, *rest]}


@pytest.mark.parametrize(
    ("lie", "text"),
    [
        (other_shares, "other shares"),
        (more_money, "not those of the charges"),
        (more_views, "the meter published"),
        (more_impressions, "not those of the charges"),
        (moved_impressions, "the meter published"),
    ],
)
def test_inputs_that_are_not_those_of_the_log_are_disputed(neighbour: Neighbour, lie: Any, text: str) -> None:
    play(neighbour, used_inputs=lie)
    report = audited(neighbour)
    (verdict,) = report.closes
    assert (verdict.verdict, verdict.rule) == ("differs", "inputs-differ")
    assert text in verdict.reason
    assert report.disputes == (f"{close_index(neighbour)} inputs-differ",)
    assert report.cosigned_size == 0


def test_a_close_that_shares_out_less_than_it_says_is_disputed(neighbour: Neighbour) -> None:
    def other_place(batch: list[Draft]) -> list[Draft]:
        close, *rest = batch
        postings = {name.replace("L:contributors:2026-11", "E:reserve"): amount for name, amount in close.postings.items()}
        return [Draft(close.type, close.id, close.body, postings), *rest]

    play(neighbour, drafts=other_place)
    (verdict,) = audited(neighbour).closes
    assert (verdict.rule, verdict.reason) == ("close-differs", "postings")


def test_inputs_of_more_values_than_fit_into_memory_are_disputed(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    play(neighbour)
    monkeypatch.setattr(reexecution, "INPUT_MARKS_MAX", 20)
    (verdict,) = audited(neighbour).closes
    assert (verdict.rule, verdict.reason.partition(":")[0]) == ("inputs-differ", "too_large")


@pytest.mark.parametrize("text", [b"[],", b'"",', b'{"":0},'])
def test_a_blob_of_marks_alone_is_refused_before_it_is_taken_apart(text: bytes) -> None:
    with pytest.raises(TooLarge, match="more than 12000000 quotes"):
        reexecution.read_blob(text * (reexecution.INPUT_BYTES_MAX // len(text)))


def test_inputs_that_are_not_shown_are_waited_for(neighbour: Neighbour) -> None:
    play(neighbour)
    name = neighbour.log.entries[close_index(neighbour)].body["inputs"]
    kept = neighbour.blobs.pop(name)
    report = audited(neighbour)
    assert [one.verdict for one in report.closes] == ["unavailable"]
    assert (report.disputes, report.cosigned_size) == ((), 0)
    neighbour.blobs[name] = kept
    report = audited(neighbour)
    assert [one.verdict for one in report.closes] == ["equal"]
    assert report.cosigned_size == neighbour.log.edge.size


def test_a_settlement_function_that_is_not_known_here_is_no_dispute(neighbour: Neighbour) -> None:
    def newer(batch: list[Draft]) -> list[Draft]:
        close, *rest = batch
        return [
            Draft(close.type, close.id, {**close.body, "algorithm": "ad-impression/2", "code": "0" * 64}, close.postings),
            *rest,
        ]

    play(neighbour, drafts=newer)
    report = audited(neighbour)
    assert [one.verdict for one in report.closes] == ["unknown_algorithm"]
    assert (report.disputes, report.cosigned_size) == ((), 0)


def served(neighbour: Neighbour) -> PeerLog:
    """Our own log, behind HTTP, as another instance would find it."""
    folder = store.folder() / "1"
    neighbour.log.files = {}
    neighbour.shown = {f"ledger/1/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    neighbour.blobs = {path.name: path.read_bytes() for path in (folder / "blob").rglob("*") if path.is_file()}
    head = store.read_head()
    genesis = bytes(LogEntry.objects.get(index=0).data)
    return PeerLog.objects.create(
        origin=instance_keys.origin(), url=f"{neighbour.origin}/ledger/1", genesis=genesis, size=head.size,
        root=head.root.hex(), checkpoint=head.note,
    )  # fmt: skip


def test_what_our_own_pen_writes_passes_our_own_mirror_and_auditor(room: Room, neighbour: Neighbour) -> None:
    """The two sides must not drift apart: what ``settlement`` and the rest write is what ``judging`` and ``reexecution`` expect."""
    period = room.month()
    agreements.accept_default(scid=room.bob.scid)
    peer = served(neighbour)
    report = mirror.mirror_peer(peer, look=False)
    assert report.is_complete, report
    assert (report.disputes, report.missing) == ((), ())
    audit_report = audit.audit_peer(peer)
    assert [(one.index, one.verdict, one.sampled) for one in audit_report.closes] == [(period.close_entry_id, "equal", 2)]
    assert audit_report.cosigned_size == peer.size


def test_what_an_auditor_found_reaches_the_pages_of_the_audited(room: Room, neighbour: Neighbour, client: Client) -> None:
    """Mirrored, run again and cosigned by the real parts, shown by the real view, collected, verified and shown again."""
    period = room.month()
    agreements.accept_default(scid=room.bob.scid)
    peer = served(neighbour)
    assert mirror.mirror_peer(peer, look=False).is_complete
    audit.audit_peer(peer)
    address = f"ledger/peers/{name_of(peer.origin)}/mirrored"
    told = client.get(f"/{address}").content
    auditor = instance_keys.signer("auditor")
    pages = ("/ledger/", "/ledger/settlements", f"/ledger/settlements/{period.close_entry_id}")
    charlie = Signer(auditor.verifier.name, COSIGNATURE, b"\x05" * 32)
    checkpoint = open_checkpoint(
        store.read_head().note, origin=peer.origin, log_keys=[instance_keys.ledger_keys().newest]
    ).checkpoint
    other_root = replace(checkpoint, root=b"\x05" * 32)
    lies = [
        b"",
        b"\xff\xfe",
        b"nothing of a note",
        store.read_head().note,
        store.read_head().note + cosign(checkpoint, charlie, NOW).encode() + b"\n",
        store.read_head().note + cosign(other_root, auditor, NOW).encode() + b"\n",
        told.replace(b"\n%d\n" % checkpoint.size, b"\n999\n"),
    ]
    for lie in lies:
        neighbour.shown[address] = lie
        assert cosigning.collect_audits() == 0, lie
        assert not SignedHead.objects.filter(cosignatures__contains="/auditor/").exists()
    for page in pages:
        assert "No auditor" in client.get(page).content.decode()
    neighbour.shown[address] = told
    assert (cosigning.collect_audits(), cosigning.collect_audits()) == (1, 0)
    for page in pages:
        text = client.get(page).content.decode()
        assert auditor.verifier.name in text
        assert "No auditor" not in text
    assert f"{checkpoint.size} of {checkpoint.size}" in client.get("/ledger/").content.decode()
    (seen,) = client.get("/api/tributary/v1/ledger").json()["audits"]
    assert (seen["name"], seen["size"]) == (auditor.verifier.name, checkpoint.size)
    out = io.StringIO()
    call_command("ledger", "status", "--json", stdout=out)
    assert json.loads(out.getvalue())["audited by"][auditor.verifier.name]["size"] == checkpoint.size
    # The mirror's own line is another sentence, and was not asked for.
    assert b"/auditor/" in store.published_checkpoint()
    assert b"/mirror/" not in store.published_checkpoint()
    # The log goes on; what was found stands for the closes below.
    room.fund(amount=UNIT, name="more", evidence=b"more")
    assert auditor.verifier.name in client.get(pages[2]).content.decode()


def test_a_head_does_not_outgrow_a_delivery(room: Room, neighbour: Neighbour) -> None:
    room.month()
    peer = followed(neighbour)
    head = SignedHead.objects.order_by("-size")[0]
    checkpoint = open_checkpoint(
        bytes(head.note), origin=instance_keys.origin(), log_keys=[instance_keys.ledger_keys().newest]
    ).checkpoint
    line = cosign(checkpoint, neighbour.instance.auditor, NOW)
    neighbour.shown[f"ledger/peers/{name_of(instance_keys.origin())}/mirrored"] = bytes(head.note) + f"{line}\n".encode()
    assert peer.url.startswith(neighbour.origin)
    full = "x" * (CHECKPOINT_BYTES_MAX - len(head.note) - len(line.encode()))
    SignedHead.objects.filter(pk=head.pk).update(cosignatures=full)
    assert cosigning.collect_audits() == 0
    SignedHead.objects.filter(pk=head.pk).update(cosignatures="")
    assert cosigning.collect_audits() == 1


def test_a_carry_may_not_vanish(room: Room) -> None:
    period = room.month()
    entries = [parse_entry(bytes(row.data)) for row in LogEntry.objects.order_by("index")]
    entry = entries[period.close_entry_id]
    close = Close(
        entry,
        [one for one in entries if one.type == "accrue"],
        [entries[index] for index in entry.body["entries"]],
        store.read_blob(entry.body["inputs"], public=True),
        {row.id: parse_agreement(bytes(row.document)) for row in Agreement.objects.all()},
    )
    assert reexecute(close, beacon=b"", works_max=9).sampled == 0
    with pytest.raises(Differs, match="the close before left 5"):
        reexecute(replace(close, left_over=5), beacon=b"", works_max=9)
