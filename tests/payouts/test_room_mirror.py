"""The mirror: copies that are proven, resumable and bounded, hostile logs that change nothing, and rules that are disputed."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from payouts import instance_keys, judging, mirror, peers, store
from payouts.dispute_document import check_dispute
from payouts.ledger.checkpoint import open_checkpoint
from payouts.ledger.entries import Draft, parse_entry
from payouts.ledger.errors import BadMember, BadTile, LedgerError
from payouts.ledger.follower import check_tiles
from payouts.ledger.growth import grow
from payouts.ledger.multikey import multikey_bytes
from payouts.ledger.tiles import pack_bundle, read_entries
from payouts.mirror_files import MirrorFiles, name_of
from payouts.models import Dispute, LogEntry, PeerLog, PeerMirror
from server.core import limits
from tests.payouts.audited_month import play, show, terms_of
from tests.payouts.ledger_world import Log, draft_id
from tests.payouts.neighbour import Neighbour
from tests.payouts.test_room_peers import LATER, followed
from tests.payouts.test_room_peers import grow as add_entries

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_judges() -> Iterator[None]:
    yield
    judging._judges.clear()


def copied(neighbour: Neighbour, *names: str) -> PeerMirror:
    peer = followed(neighbour, *names)
    report = mirror.mirror_peer(peer)
    assert report.is_complete, report
    return mirror.mirror_of(peer)


def write_raw(log: Log, data: bytes) -> None:
    """An entry that no honest pen would write."""
    growth = grow(log.edge, [data])
    log.edge = growth.edge
    log.files.update(growth.files)
    log.entries.append(log.entries[-1])


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_log_is_copied_proven_cosigned_and_served(neighbour: Neighbour, client: Client) -> None:
    play(neighbour)
    add_entries(neighbour, *(f"entry {number}" for number in range(300)))
    peer = peers.follow_log(instance_origin=neighbour.origin)
    report = mirror.mirror_peer(peer)
    size = neighbour.log.edge.size
    assert (report.size, report.judged, report.target, report.error, report.disputes) == (size, size, size, "", ())
    # The blob of the accounts root was shown with other bytes: it is waited for, and no dispute.
    assert len(report.missing) == 1
    name = sha256(peer.origin.encode()).hexdigest()
    note = client.get(f"/ledger/peers/{name}/mirrored").content
    key = instance_keys.signer("mirror").verifier
    signed = open_checkpoint(note, origin=peer.origin, log_keys=[neighbour.instance.ledger.verifier], cosigners=[key])
    assert signed.note.signed_by(key)

    class Served:
        def tile(self, tile: Any) -> bytes:
            return self.get(tile.path())

        bundle = tile

        def get(self, path: str) -> bytes:
            answer = client.get(f"/ledger/peers/{name}/{path}")
            if answer.status_code != 200:
                raise BadTile(path)
            assert "immutable" in answer["cache-control"]
            return answer.content

    check_tiles(Served(), signed.checkpoint)
    assert [entry.data for entry in neighbour.log.entries] == list(read_entries(Served(), 0, size, size))
    # Every narrower width is cut from the widest one.
    assert Served().get("tile/0/000.p/7") == neighbour.log.files["tile/0/000"][: 7 * 32]
    assert Served().get("tile/entries/000.p/2") == pack_bundle([entry.data for entry in neighbour.log.entries[:2]])
    for path in ("tile/0/001.p/99", "tile/0/002", "tile/9/000", "tile/0/../000", "tile/x"):
        assert client.get(f"/ledger/peers/{name}/{path}").status_code == 404
    inputs = next(entry.body["inputs"] for entry in neighbour.log.entries if entry.type == "close")
    assert client.get(f"/ledger/peers/{name}/blob/{inputs}").content == neighbour.blobs[inputs]
    assert client.get(f"/ledger/peers/{name}/blob/{'0' * 64}").status_code == 404
    assert client.get(f"/ledger/peers/{'0' * 64}/mirrored").status_code == 404


def test_a_copy_goes_on_where_it_ended_and_asks_only_for_what_is_new(
    neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MIRROR_ENTRIES_PER_STEP", 256)
    peer = followed(neighbour, *(f"entry {number}" for number in range(1000)))
    sizes = []
    for _ in range(9):
        report = mirror.mirror_peer(peer, bytes_max=1)
        sizes.append(report.size)
        if report.is_complete:
            break
    # Each run takes at least one bundle, however little it may spend; judging waits for the whole.
    assert sizes[:4] == [256, 512, 768, 1001]
    copy = mirror.mirror_of(peer)
    neighbour.asked.clear()
    judging._judges.clear()
    add_entries(neighbour, "later")
    assert mirror.mirror_peer(peer).is_complete
    asked = [path for path in neighbour.asked if "entries" in path]
    # Once to look for a change of its key, once to be copied.
    assert asked == ["/ledger/1/tile/entries/003.p/234"] * 2
    kept = [path for path in files_of(MirrorFiles(copy).folder) if path.startswith("tile/entries/003")]
    assert kept == ["tile/entries/003.p/234"], "narrower ones are gone"


def test_hostile_tiles_get_a_named_error_and_change_nothing(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MIRROR_ENTRIES_PER_STEP", 256)
    copy = copied(neighbour, "one")
    add_entries(neighbour, *(f"entry {number}" for number in range(600)))
    peer = peers.refresh(copy.peer)
    honest = dict(neighbour.log.files)
    before = files_of(MirrorFiles(copy).folder)
    bundle = honest["tile/entries/000"]
    lies: dict[str, bytes] = {
        "an entry of another text": bundle.replace(b"entry 77", b"entry 78"),
        "an entry too few": pack_bundle([entry.data for entry in neighbour.log.entries[:255]]),
        "spare bytes": bundle + b"\x00",
        "cut": bundle[:-1],
        "nothing": b"",
        "two entries changed places": pack_bundle([e.data for e in [*neighbour.log.entries[:9], *neighbour.log.entries[10:12], *neighbour.log.entries[9:10], *neighbour.log.entries[12:256]]]),
        "larger than any bundle": b"\xff" * (256 * 65537 + 1),
    }  # fmt: skip
    for name, lie in lies.items():
        neighbour.log.files = {**honest, "tile/entries/000": lie}
        report = mirror.mirror_peer(peer)
        assert report.error.split(":")[0] in {"bad_tile", "answer_too_large"}, name
        assert (report.size, report.disputes) == (2, ()), name
        assert files_of(MirrorFiles(copy).folder) == before, name
    copy.refresh_from_db()
    assert copy.error.startswith("answer_too_large")
    neighbour.log.files = honest
    assert mirror.mirror_peer(peer).is_complete


def test_a_damaged_copy_is_noticed_and_full_disks_and_limits_stop(neighbour: Neighbour, settings: Any) -> None:
    copy = copied(neighbour, "one")
    add_entries(neighbour, "two")
    peer = peers.refresh(copy.peer)
    settings.LEDGER_MIRROR_BYTES_MAX = 10
    assert mirror.mirror_peer(peer).error.startswith("mirror_full")
    settings.LEDGER_MIRROR_BYTES_MAX = 10**9
    free, settings.FREE_DISK_BYTES_MIN = settings.FREE_DISK_BYTES_MIN, 2**60
    assert mirror.mirror_peer(peer).error.startswith("storage_full")
    settings.FREE_DISK_BYTES_MIN = free
    path = MirrorFiles(copy).folder / "tile/0/000.p/2"
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert mirror.mirror_peer(peer).error.startswith("mirror_damaged")
    path.write_bytes(whole)
    assert mirror.mirror_peer(peer).is_complete


def broken(kind: str, log: Log) -> tuple[bytes, str]:
    """The bytes of a next entry that breaks one rule, and the rule."""
    from payouts.ledger import canonical

    size = len(log.entries)
    good = canonical.decode(log.entries[-1].data, bytes_max=4096)
    fresh = {**good, "index": size, "id": draft_id("broken")}
    return {
        "spaces": (canonical.encode(fresh).replace(b'"v":1', b'"v": 1'), "not-canonical"),
        "unknown type": (canonical.encode({**fresh, "type": "gift"}), "unknown-type"),
        "unknown version": (canonical.encode({**fresh, "v": 2}), "unknown-version"),
        "time goes backwards": (canonical.encode({**fresh, "at": "2026-11-01T00:00:00Z"}), "time-went-backwards"),
        "an id twice": (canonical.encode({**fresh, "id": good["id"]}), "entry-id-repeated"),
        "another index": (canonical.encode({**fresh, "index": size + 1}), "bad-index"),
        "no json": (b"\x00\x01", "not-json"),
        "larger than 4 KiB": (canonical.encode({**fresh, "body": {**fresh["body"], "reason": "x" * 60_000}}), "entry-too-large"),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "spaces",
        "unknown type",
        "unknown version",
        "time goes backwards",
        "an id twice",
        "another index",
        "no json",
        "larger than 4 KiB",
    ],
)
def test_an_entry_that_breaks_a_rule_is_mirrored_and_disputed(neighbour: Neighbour, client: Client, kind: str) -> None:
    copy = copied(neighbour, "one", "two")
    data, rule = broken(kind, neighbour.log)
    write_raw(neighbour.log, data)
    peer = peers.refresh(copy.peer)
    report = mirror.mirror_peer(peer)
    assert (report.size, report.judged, report.disputes) == (4, 3, (f"3 {rule}",))
    assert list(read_entries(MirrorFiles(mirror.mirror_of(peer)), 3, 4, 4)) == [data]
    # Mirroring goes on; one dispute is one dispute.
    add_entries_raw = data
    write_raw(neighbour.log, add_entries_raw)
    report = mirror.mirror_peer(peers.refresh(peer))
    assert (report.size, report.disputes) == (5, (f"3 {rule}",))
    dispute = Dispute.objects.get()
    document = client.get(f"/ledger/disputes/{dispute.digest}").content
    assert document == client.get(f"/ledger/1/blob/{dispute.digest}").content
    entry = parse_entry(bytes(LogEntry.objects.get(type="audit.dispute").data))
    assert entry.body == {
        "origin": peer.origin, "size": 4, "index": 3, "rule": rule, "evidence": sha256(document).hexdigest()
    }  # fmt: skip
    public = multikey_bytes(instance_keys.instance_public(), "ed25519")
    keys = [neighbour.instance.ledger.verifier]
    finding = check_dispute(document, log_keys=keys, instance=public)
    assert (finding.entry, finding.index, finding.rule) == (data, 3, rule)
    assert client.get(f"/ledger/disputes/{'0' * 64}").status_code == 404


def test_a_dispute_with_a_flipped_bit_or_by_a_stranger_is_refused(neighbour: Neighbour) -> None:
    copy = copied(neighbour, "one")
    write_raw(neighbour.log, b"{}")
    mirror.mirror_peer(peers.refresh(copy.peer))
    document = bytes(Dispute.objects.get().document)
    public = multikey_bytes(instance_keys.instance_public(), "ed25519")
    keys = [neighbour.instance.ledger.verifier]
    check_dispute(document, log_keys=keys, instance=public)
    for place in range(0, len(document), 11):
        with pytest.raises(LedgerError):
            check_dispute(document[:place] + bytes([document[place] ^ 1]) + document[place + 1 :], log_keys=keys, instance=public)
    with pytest.raises(LedgerError):
        check_dispute(document, log_keys=keys, instance=bytes(neighbour.instance.instance_key.verify_key))
    with pytest.raises(LedgerError):
        check_dispute(document, log_keys=[instance_keys.signer("ledger").verifier], instance=public)
    with pytest.raises((BadMember, LedgerError)):
        check_dispute(b"[]", log_keys=keys, instance=public)


def test_payouts_beyond_the_balance_and_early_releases_are_disputed(neighbour: Neighbour) -> None:
    from payouts.ledger import canonical

    play(neighbour)
    copy = mirror.mirror_of(peers.follow_log(instance_origin=neighbour.origin))
    assert mirror.mirror_peer(copy.peer).disputes == ()
    log = neighbour.log
    scid = next(entry.body["scid"] for entry in log.entries if entry.type == "accrue")
    last = next(entry for entry in reversed(log.entries) if entry.type == "accrue" and entry.body["scid"] == scid)
    link = last.links[0]
    body = {
        "payout": "0" * 32, "scid": scid, "currency": "EUR", "amount": "5", "rail": "sepa", "route": "0" * 64, "seq_hi": 1,
    }  # fmt: skip
    document = {
        "v": 1, "origin": log.instance.origin, "index": len(log.entries), "type": "payout.intent", "at": LATER,
        "id": draft_id("payout"), "body": body,
        "postings": [[f"L:payee:{scid}#EUR/6", "5"], ["L:transit:sepa#EUR/6", "-5"]],
        "accounts": [{
            "scid": scid, "currency": "EUR", "seq": link.seq + 1, "prev": last.leaf.hex(), "balance_after": "0", "held_after": "0",
        }],
    }  # fmt: skip
    write_raw(log, canonical.encode(document))
    report = mirror.mirror_peer(peers.refresh(copy.peer))
    assert report.disputes == (f"{len(log.entries) - 1} account-overdrawn",)


def test_terms_that_are_not_signed_or_come_too_soon_are_disputed_and_the_rest_is_judged(neighbour: Neighbour) -> None:
    first = terms_of(neighbour)
    play(neighbour, terms=first)
    soon = terms_of(neighbour, prev=first.id, created="2026-11-20T00:00:00Z", effective_from="2026-11-29T00:00:00Z")
    later = terms_of(neighbour, prev=first.id, created="2026-11-20T00:00:00Z", effective_from="2027-01-29T00:00:00Z")
    neighbour.log.agree(LATER, soon, later)
    for one in (soon, later):
        show(neighbour, one.data)
    index = len(neighbour.log.entries) - 2
    body = {**neighbour.log.entries[index].body, "agreement": "1" * 64, "blob": show(neighbour, b"no agreement at all")}
    neighbour.log.append(LATER, Draft("agreement", draft_id("wrong"), body, {}))
    add_entries(neighbour, "afterwards")
    report = mirror.mirror_peer(peers.follow_log(instance_origin=neighbour.origin))
    assert report.disputes == (f"{index} notice-too-short", f"{index + 2} not-json")
    assert report.judged == report.size == neighbour.log.edge.size


def test_what_is_not_shown_is_asked_for_again(neighbour: Neighbour) -> None:
    terms = terms_of(neighbour)
    play(neighbour, terms=terms)
    blob = sha256(terms.data).hexdigest()
    neighbour.blobs[blob] = b"something else"
    peer = peers.follow_log(instance_origin=neighbour.origin)
    assert blob in mirror.mirror_peer(peer).missing
    neighbour.blobs[blob] = terms.data
    report = mirror.mirror_peer(peer)
    assert blob not in report.missing
    assert report.disputes == ()


def test_a_log_that_shows_nothing_is_not_pestered(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MISSING_ASKED_PER_RUN_MAX", 2)
    play(neighbour)
    neighbour.blobs.clear()
    peer = peers.follow_log(instance_origin=neighbour.origin)
    report = mirror.mirror_peer(peer, bytes_max=1)
    assert (report.judged, report.is_complete) == (0, False), "judged in the next run: nothing is left to spend"
    missing = mirror.mirror_peer(peer).missing
    assert len(missing) == 4
    seen: set[str] = set()
    for _ in range(2):
        neighbour.asked.clear()
        mirror.mirror_peer(peer)
        asked = {path for path in neighbour.asked if "blob" in path}
        assert len(asked) == 2
        seen |= asked
    assert len(seen) == 4, "they take turns"


def test_a_log_that_forked_is_mirrored_on_both_branches_and_cosigned_on_none(neighbour: Neighbour, client: Client) -> None:
    copy = copied(neighbour, "one", "two")
    line = copy.cosignatures
    pinned_root = copy.root
    neighbour.log = Log(neighbour.instance)
    add_entries(neighbour, "another one", "another two", "another three")
    with pytest.raises(LedgerError):
        peers.refresh(copy.peer)
    add_entries(neighbour, "another four")
    peer = PeerLog.objects.get()
    report = mirror.mirror_peer(peer)
    ((branch, size),) = report.branches.items()
    assert (report.size, size) == (3, 5)
    name = name_of(peer.origin)
    other = client.get(f"/ledger/peers/{name}/branches/{branch}/mirrored").content
    assert other == neighbour.checkpoint()
    assert client.get(f"/ledger/peers/{name}/branches/{branch}/tile/entries/000.p/5").status_code == 200
    copy.refresh_from_db()
    assert (copy.root, copy.cosignatures) == (pinned_root, line)
    assert PeerMirror.objects.get(branch=branch).cosignatures == ""


def test_the_chore_takes_those_that_waited_longest(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    PeerLog.objects.filter(pk=peer.pk).update(is_mirrored=False)
    assert mirror.mirror_all() == []
    PeerLog.objects.filter(pk=peer.pk).update(is_mirrored=True)
    (report,) = mirror.mirror_all()
    assert report.as_json()["complete"] is True
    assert store.read_head().size == 1, "nothing was disputed"
