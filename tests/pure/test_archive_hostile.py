"""Hostile archives, each refused by the name of its reason; and random ones, which never raise anything else."""

import contextlib
import hashlib
import io
import itertools
import tarfile
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import canonical
from server.core.errors import TributaryError
from server.identity import keylog
from server.portability import manifest, paths, posts, reading, tar, verify
from server.portability.errors import BadPath
from server.portability.manifest import File
from tests.pure.identities import LATER, NOW, key, moved, owned, under_server

DAY = timedelta(days=1)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def listed(files: dict[str, bytes]) -> list[File]:
    return [File(path, len(data), digest(data)) for path, data in sorted(files.items(), key=lambda each: each[0].encode())]


def pack(members: list[tuple[str, bytes]], *, end: bytes = tar.END) -> bytes:
    """A tar of exactly these members."""
    out = b""
    for path, data in members:
        out += tar.header(path, len(data), moment=NOW) + data + tar.padding(len(data))
    return out + end


def archive(
    files: dict[str, bytes] | None = None, *, log: keylog.PolicyLog | None = None, signer: str = "home-1", **more: Any
) -> bytes:
    known = log or under_server()
    contents = {"identity/did.jsonl": known.data, **(files or {})}
    made = manifest.make(
        log=known, files=listed(contents), seq=1, prev=manifest.NOTHING_BEFORE,
        authority="user" if signer.startswith("user") else "home", key=key(signer), now=more.get("now", NOW + DAY),
    )  # fmt: skip
    return pack(
        [("manifest.yml", b"x: 1\n"), ("manifest.json", made.data), *sorted(contents.items(), key=lambda one: one[0].encode())]
    )


def judge(data: bytes, **more: Any) -> verify.Verdict:
    return verify.verify(io.BytesIO(data), now=LATER, bytes_max=more.pop("bytes_max", 10**9), **more)


def refused(data: bytes, **more: Any) -> str:
    with pytest.raises(TributaryError) as caught:
        judge(data, **more)
    return caught.value.code


def accepted(data: bytes) -> bool:
    """False for a refusal with a name; anything else that is raised is a failed test."""
    with contextlib.suppress(TributaryError):
        judge(data)
        return True
    return False


def by_tarfile(change: Callable[[tarfile.TarInfo], None], *, format_: int = tarfile.USTAR_FORMAT) -> bytes:
    """A good archive with one member more, written by Python's tarfile."""
    good = archive()
    info = tarfile.TarInfo("media/sha256/" + "0" * 64)
    change(info)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as writer:
        writer.addfile(info, io.BytesIO(b"\0" * info.size) if info.isreg() else None)
    return good[: -len(tar.END)] + out.getvalue()


def test_a_good_one() -> None:
    verdict = judge(archive({"graph/following.csv": b"bob@example.org\n"}))
    assert (verdict.files, verdict.missing, verdict.unvouched) == (2, [], False)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda info: setattr(info, "type", tarfile.SYMTYPE), "link"),
        (lambda info: setattr(info, "type", tarfile.LNKTYPE), "link"),
        (lambda info: setattr(info, "type", tarfile.CHRTYPE), "device"),
        (lambda info: setattr(info, "type", tarfile.BLKTYPE), "device"),
        (lambda info: setattr(info, "type", tarfile.FIFOTYPE), "device"),
        (lambda info: setattr(info, "type", tarfile.DIRTYPE), "device"),
        (lambda info: setattr(info, "type", tarfile.CONTTYPE), "device"),
        (lambda info: setattr(info, "type", tarfile.GNUTYPE_SPARSE), "sparse"),
        (lambda info: setattr(info, "name", "../../etc/passwd"), "bad_path"),
        (lambda info: setattr(info, "name", "/etc/passwd"), "bad_path"),
        (lambda info: setattr(info, "name", "media/./x"), "bad_path"),
        (lambda info: setattr(info, "name", "media//x"), "bad_path"),
        (lambda info: setattr(info, "name", "media\\x"), "bad_path"),
        (lambda info: setattr(info, "name", "cafe\u0301"), "bad_path"),
        (lambda info: setattr(info, "name", "x\u202ey"), "bad_path"),
        (lambda info: setattr(info, "name", "unlisted"), "not_listed"),
    ],
)  # fmt: skip
def test_members_that_are_no_plain_files(change: Callable[[Any], None], code: str) -> None:
    data = by_tarfile(change, format_=tarfile.GNU_FORMAT if code == "sparse" else tarfile.USTAR_FORMAT)
    assert refused(data) == code


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_extended_headers(format_: int) -> None:
    assert refused(by_tarfile(lambda info: setattr(info, "name", "x" * 500), format_=format_)) == "bad_header"


def test_a_huge_header_is_not_read() -> None:
    """A pax header that says it is 8 GiB long costs nothing."""
    block = bytearray(tar.header("x", tar.SIZE_MAX, moment=NOW))
    block[156:157] = b"x"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    began = time.perf_counter()
    assert refused(archive()[: -len(tar.END)] + bytes(block)) == "bad_header"
    assert time.perf_counter() - began < 1


def test_a_size_that_is_not_in_octal_digits() -> None:
    """GNU's way to write 8 GiB and more, and nonsense."""
    for size in (b"\x80" + bytes(7) + b"\x02\0\0\0", b"-0000000001\0", b"0000000000x\0", b" " * 12):
        block = bytearray(tar.header(paths.media("0" * 64), 0, moment=NOW))
        block[124:136] = size
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        assert refused(archive()[: -len(tar.END)] + bytes(block) + tar.END) == "bad_header"


def test_a_size_beyond_the_end() -> None:
    data = archive()[: -len(tar.END)]
    path = paths.media("0" * 64)
    assert refused(data + tar.header(path, 10**6, moment=NOW)) == "not_listed"
    contents = {path: b""}
    assert refused(archive({"identity/a": b"x" * 5000})[:-6000]) == "truncated"
    assert contents


def test_order_and_repetition() -> None:
    known = under_server()
    contents = {"identity/did.jsonl": known.data, "objects/a": b"1", "objects/b": b"2"}
    good = archive({"objects/a": b"1", "objects/b": b"2"})
    about = reading.begin(io.BytesIO(good), bytes_max=10**9).manifest
    head = [("manifest.yml", b""), ("manifest.json", about.data), ("identity/did.jsonl", known.data)]
    assert judge(pack([*head, ("objects/a", b"1"), ("objects/b", b"2")])).missing == []
    assert refused(pack([*head, ("objects/b", b"2"), ("objects/a", b"1")])) == "out_of_order"
    assert refused(pack([*head, ("objects/a", b"1"), ("objects/a", b"1")])) == "out_of_order"
    assert refused(pack([*head, head[1]])) in {"not_listed", "out_of_order"}
    assert judge(pack(head)).missing == ["objects/a", "objects/b"]
    assert len(contents) == 3


def test_bytes_that_nobody_reads() -> None:
    good = archive()
    assert refused(good + b"x") == "trailing_bytes"
    assert refused(good + bytes(100_000)) == "trailing_bytes"
    assert judge(good + bytes(8192)).missing == []
    padded = bytearray(archive({"objects/a": b"1"}))
    padded[-len(tar.END) - 1] = 1
    assert refused(bytes(padded)) == "trailing_bytes"


def test_what_is_no_archive() -> None:
    assert refused(b"") == "not_an_archive"
    assert refused(b"PK\x03\x04" + bytes(600)) == "not_an_archive"
    assert refused(bytes(4096)) == "not_an_archive"
    assert refused(pack([("hello.txt", b"hello")])) == "bad_manifest"
    assert refused(pack([("manifest.yml", b""), ("other.json", b"{}")])) == "bad_manifest"
    assert refused(pack([("manifest.yml", b"")])) == "bad_manifest"


def test_caps() -> None:
    assert refused(archive({"objects/a": b"x" * 100_000}), bytes_max=90_000) == "archive_too_large"
    assert refused(pack([("manifest.yml", b"x" * 70_000), ("manifest.json", b"{}")])) == "archive_too_large"


def test_a_list_of_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "FILES_MAX", 3)
    with pytest.raises(TributaryError) as caught:
        archive({f"objects/{number}": b"" for number in range(4)})
    assert caught.value.code == "too_many_files"


def altered(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A good archive whose manifest was changed behind the signature."""
    known = under_server()
    about = canonical.parse(reading.begin(io.BytesIO(archive()), bytes_max=10**9).manifest.data, depth_max=5)
    change(about)
    return pack([("manifest.yml", b""), ("manifest.json", canonical.jcs(about)), ("identity/did.jsonl", known.data)])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda about: about.update(root="0" * 64), "wrong_root"),
        (lambda about: about["files"][0].update(sha256="0" * 64), "wrong_root"),
        (lambda about: about.update(seq=2, prev="1" * 64), "wrong_signer"),
        (lambda about: about.update(authority="user"), "wrong_signer"),
        (lambda about: about.update(more=1), "bad_manifest"),
        (lambda about: about.update(v=2), "bad_manifest"),
        (lambda about: about.update(v=True), "bad_manifest"),
        (lambda about: about.update(seq=0), "bad_manifest"),
        (lambda about: about.update(prev="1" * 64), "bad_manifest"),
        (lambda about: about.update(scid="Qm"), "bad_manifest"),
        (lambda about: about.update(scid="Qm" + "a" * 44), "foreign_identity"),
        (lambda about: about.update(files=about["files"] * 2), "bad_manifest"),
        (lambda about: about["files"].append({"path": "../x", "bytes": 0, "sha256": "0" * 64}), "bad_path"),
        (lambda about: about["files"].append({"path": "manifest.json", "bytes": 0, "sha256": "0" * 64}), "bad_manifest"),
        (lambda about: about["files"].append({"path": "opened/x", "bytes": 0, "sha256": "0" * 64}), "bad_manifest"),
        (lambda about: about["files"].append({"path": paths.media("1" * 64), "bytes": 0, "sha256": "0" * 64}), "bad_manifest"),
        (lambda about: about["files"].append({"path": "x", "bytes": True, "sha256": "0" * 64}), "bad_manifest"),
        (lambda about: about.update(created="2999-01-01T00:00:00Z"), "bad_manifest"),
    ],
)  # fmt: skip
def test_altered_manifests(change: Callable[[Any], None], code: str) -> None:
    assert refused(altered(change)) == code


def test_a_file_that_is_not_the_listed_one() -> None:
    good = archive({"objects/a": b"honest"})
    assert refused(good.replace(b"honest", b"forged")) == "wrong_hash"
    about = reading.begin(io.BytesIO(good), bytes_max=10**9).manifest
    shorter = [
        ("manifest.yml", b""),
        ("manifest.json", about.data),
        ("identity/did.jsonl", under_server().data),
        ("objects/a", b"x"),
    ]
    assert refused(pack(shorter)) == "wrong_hash"


def test_foreign_identities() -> None:
    other = under_server("eve")
    known = under_server()
    about = reading.begin(io.BytesIO(archive()), bytes_max=10**9).manifest
    swapped = [("manifest.yml", b""), ("manifest.json", about.data), ("identity/did.jsonl", other.data)]
    assert refused(pack(swapped)) in {"wrong_hash", "foreign_identity"}
    assert refused(archive(), log=other) == "foreign_identity"
    assert judge(archive(), log=known).scid == known.scid


@pytest.mark.parametrize("signer", ["home-2", "user-2", "root-1"])
def test_foreign_keys(signer: str) -> None:
    assert refused(archive(signer=signer)) == "wrong_signer"


def test_a_key_that_was_removed_since() -> None:
    """Offline it is told; a server asks who saw the archive before the removal."""
    data = archive(now=NOW + DAY / 2)
    assert judge(data, log=moved()).unvouched is True
    about = reading.begin(io.BytesIO(data), bytes_max=10**9).manifest
    with pytest.raises(TributaryError) as caught:
        manifest.verify(about, log=moved(), now=LATER)
    assert caught.value.code == "unvouched"
    manifest.verify(about, log=moved(), now=LATER, seen_at=NOW + DAY / 2)
    with pytest.raises(TributaryError):
        manifest.verify(about, log=moved(), now=LATER, seen_at=NOW + 2 * DAY)


def test_what_the_owner_signed_needs_no_witness() -> None:
    data = archive(signer="user-1", now=NOW + DAY / 2)
    assert judge(data, log=owned()).unvouched is False


def activity(**changes: Any) -> dict[str, Any]:
    actor = "https://alpha.example/users/alice"
    note = {"id": f"{actor}/posts/1", "type": "Note", "attributedTo": actor, "content": "x", **changes.pop("note", {})}
    return {"id": f"{actor}/posts/1/activity", "type": "Create", "actor": actor, "object": note, **changes}


def with_outbox(*activities: dict[str, Any]) -> bytes:
    return archive({"objects/outbox.jsonl": b"".join(canonical.jcs(one) + b"\n" for one in activities)})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"actor": "https://evil.example/users/eve"}, "forged_post"),
        ({"note": {"attributedTo": "https://alpha.example/users/eve"}}, "forged_post"),
        ({"note": {"id": "https://evil.example/posts/1"}}, "forged_post"),
        ({"id": "https://evil.example/posts/1"}, "forged_post"),
        ({"proof": {"type": "DataIntegrityProof"}}, "forged_post"),
        ({"note": {"proof": {"verificationMethod": "https://alpha.example/users/alice#home-9"}}}, "forged_post"),
        ({"type": "Delete"}, "bad_part"),
        ({"object": None}, "bad_part"),
        ({"object": "https://alpha.example/x"}, "bad_part"),
    ],
)  # fmt: skip
def test_forged_posts(changes: dict[str, Any], code: str) -> None:
    assert judge(with_outbox(activity())).posts == 1
    assert refused(with_outbox(activity(), activity(**changes))) == code


def test_posts_with_proofs() -> None:
    from server.core import proofs

    actor = "https://alpha.example/users/alice"
    method = f"{actor}#home-1"
    listed_key = {"id": method, "type": "Multikey", "controller": actor, "publicKeyMultibase": keylog.multikey_of(key("home-1"))}
    document = {"id": actor, "type": "Person", "assertionMethod": [listed_key]}

    def signed(by: str, at: Any) -> dict[str, Any]:
        made = activity()
        proof = proofs.create_proof(made, key=key(by), verification_method=method, created=at)
        return {**made, "proof": proof}

    def judged(by: str, at: Any) -> bytes:
        return archive(
            {"actor/actor.json": canonical.jcs(document), "objects/outbox.jsonl": canonical.jcs(signed(by, at)) + b"\n"}
        )

    assert judge(judged("home-1", NOW + DAY / 2)).posts == 1
    assert refused(judged("home-2", NOW + DAY / 2)) == "forged_post"
    assert refused(judged("home-1", NOW - DAY)) == "forged_post"


@pytest.mark.parametrize("line", [b"{", b"[]", b"1", b'{"a":1,"a":2}', b"[" * 5000, b'{"a":NaN}', b"\xff"])
def test_lines_that_are_no_posts(line: bytes) -> None:
    assert refused(archive({"objects/outbox.jsonl": line + b"\n"})) == "bad_part"


def test_an_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TributaryError) as caught:
        list(reading.lines(iter([b"x" * 600_000] * 4)))
    assert caught.value.code == "archive_too_large"
    assert list(reading.lines(iter([b"a\nb", b"c\n", b"\nd"]))) == [b"a", b"bc", b"", b"d"]


@given(st.binary(max_size=4096))
def test_random_bytes(data: bytes) -> None:
    assert refused(data)


GOOD = archive({"objects/a": b"x" * 700, "objects/outbox.jsonl": canonical.jcs(activity()) + b"\n"})


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_end_in_a_named_refusal_or_change_nothing(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    if accepted(bytes(data)):
        # Only the description carries no authority: it is the first member, and its bytes end where the next header begins.
        assert bytes(data)[1024:] == GOOD[1024:]


@given(st.lists(st.integers(0, 6), min_size=0, max_size=12))
def test_members_cut_and_stirred(order: list[int]) -> None:
    """Blocks of a good archive in any order: a refusal, or a true part of it."""
    blocks = [GOOD[at : at + 512] for at in range(0, len(GOOD), 512)]
    stirred = b"".join(itertools.chain.from_iterable([blocks[:4], (blocks[each * len(blocks) // 7] for each in order)]))
    assert refused(stirred + tar.END)


@given(st.text(max_size=120))
def test_paths(text: str) -> None:
    with contextlib.suppress(BadPath):
        path = paths.check(text)
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert path == text
        header = tar.header(path, 3, moment=NOW)
        [member] = tar.members(io.BytesIO(header + b"abc" + tar.padding(3) + tar.END))
        assert (member.path, member.size) == (path, 3)


def test_what_is_written_is_read_by_others() -> None:
    with tarfile.open(fileobj=io.BytesIO(GOOD)) as other:
        assert other.getnames() == ["manifest.yml", "manifest.json", "identity/did.jsonl", "objects/a", "objects/outbox.jsonl"]
        assert all((one.uid, one.gid, one.mode, one.mtime) == (0, 0, 0o644, int(NOW.timestamp())) for one in other)


def test_posts_owner_names_every_home() -> None:
    by = posts.owner(moved(), covered_at=None)
    assert by.actors == {"https://alpha.example/users/alice", "https://beta.example/users/alice"}
