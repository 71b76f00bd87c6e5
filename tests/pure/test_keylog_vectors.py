"""The public did:webvh vectors, good and bad; those that are themselves wrong are listed with the reason."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.identity import keylog
from server.identity.keylog import HARD, KeyLogError, SpecLog, parse_did

ROOT = Path(__file__).parent.parent / "vectors" / "identity"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LOGS = {str(path.parent.relative_to(ROOT)): path for path in sorted(ROOT.glob("didwebvh*/**/did.jsonl"))}
SCID = "QmdmPkUdYzbr9txmx8gM2rsHPgr5L6m3gHjJGAf4vUFoGE"

# Published as good, but breaking did:webvh v1.0 itself.
KNOWN_BAD = {
    "didwebvh/witness-threshold/rust": (
        "V13",
        "the witness id is a bare Multikey, not a did:key (corrected in didwebvh-rs 0.5.4)",
    ),
    "didwebvh/witness-update/rust": ("V13", "the witness id is a bare Multikey, not a did:key (corrected in didwebvh-rs 0.5.4)"),
    "didwebvh/witness-update/ts": ("V13", "entry 2 replaces a list of 2-of-2 and only the new list approves it"),
    "didwebvh/witness-update/python": ("V13", "entry 2 replaces a list of 2-of-2 and only the new list approves it"),
    "didwebvh/witness-update/java": ("V13", "entry 2 replaces a list of 2-of-2 and only the new list approves it"),
    "didwebvh/witness-update/java-eecc": ("V13", "entry 2 replaces a list of 2-of-2 and only the new list approves it"),
    "didwebvh-interop/didwebvh-ts": (
        "V4",
        "of July 2025: later entries hash {SCID} instead of the versionId before, so nothing is chained; two share a versionTime",
    ),
}
# Good, but named for something they do not do: state.id stays at example.com.
NEVER_MOVE = {"didwebvh/portable-move/ts", "didwebvh/portable-move/rust", "didwebvh/portable-move/python"}
REALLY_MOVE = {"didwebvh/portable-move/java", "didwebvh/portable-move/java-eecc"}

BAD = {
    "didwebvh/negative-cross-did-witness-replay/ts": "V13",
    "didwebvh/negative-did-key-body-fragment-mismatch/ts": "V6",
    "didwebvh/negative-duplicate-witness-ids/ts": "V13",
    "didwebvh/negative-portable-scid-swap/ts": "V9",
    "didwebvh/negative-pre-rotation-omit-updatekeys/ts": "V8",
    "didwebvh/negative-scid-mismatch-genesis/ts": "V5",
    "didwebvh/negative-unknown-method-version/ts": "V2",
    "didwebvh/negative-versiontime-future/ts": "V11",
    "didwebvh/negative-versiontime-non-monotonic/ts": "V11",
    "didwebvh/negative-wrong-cryptosuite/ts": "V6",
    "didwebvh/negative-zero-witness-threshold/ts": "V13",
    "didwebvh-negative-py/logs/invalid-json": "V1",
    "didwebvh-negative-py/logs/invalid-method": "V5",
    "didwebvh-negative-py/logs/invalid-scid": "V5",
    "didwebvh-negative-py/logs/missing-proof": "V6",
    "didwebvh-negative-py/logs/missing-witness": "V13",
    # The attack is in the DID (below); the log itself is an empty file.
    "didwebvh/negative-fragment-leaks-into-domain/ts": "V1",
    "didwebvh/negative-lowercase-pct-port-ip/ts": "V1",
    "didwebvh/negative-path-traversal-did/ts": "V1",
    "didwebvh/negative-pct-encoded-ip-host/ts": "V1",
    "didwebvh/negative-pct-encoded-traversal/ts": "V1",
}
GOOD = sorted(LOGS.keys() - KNOWN_BAD.keys() - BAD.keys())


def judge(name: str, **more: str) -> SpecLog:
    path = LOGS[name]
    witness = path.with_name("did-witness.json")
    return keylog.verify_spec(
        path.read_bytes(), now=NOW, caps=HARD, witness_file=witness.read_bytes() if witness.exists() else None, **more
    )


def test_all_the_logs_are_here() -> None:
    assert (len(GOOD), len(KNOWN_BAD), len(BAD)) == (61, 7, 21)


@pytest.mark.parametrize("name", GOOD)
def test_good_log(name: str) -> None:
    log = judge(name)
    for version in log.versions:
        assert judge(name, requested=version.did.text).scid == log.scid
    # What the implementation itself resolved the log to.
    results = sorted(LOGS[name].parent.glob("resolutionResult*.json"))
    for result in (json.loads(path.read_text()) for path in results):
        version = log.version(result["didDocumentMetadata"]["versionId"])
        assert version.entry.state["id"] == result["didDocument"]["id"]
        assert version.entry.state.get("verificationMethod") == result["didDocument"].get("verificationMethod")
    assert name.startswith(("didwebvh-",)) or results


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_log(name: str) -> None:
    with pytest.raises(KeyLogError) as caught:
        judge(name)
    assert caught.value.rule == BAD[name]


@pytest.mark.parametrize("name", sorted(KNOWN_BAD))
def test_vector_that_is_itself_wrong(name: str) -> None:
    with pytest.raises(KeyLogError) as caught:
        judge(name)
    assert caught.value.rule == KNOWN_BAD[name][0]


def test_which_of_the_moves_move() -> None:
    for name in NEVER_MOVE | REALLY_MOVE:
        places = {version.did.text for version in judge(name).versions}
        assert (len(places) == 2) == (name in REALLY_MOVE)


def test_a_moved_log_answers_to_its_old_name() -> None:
    """Two widely used resolvers refuse this, which the specification demands."""
    log = judge("didwebvh/portable-move/java-eecc")
    old, new = (version.did.text for version in log.versions)
    assert old.endswith("example.com")
    assert new.endswith("example.org")
    assert judge("didwebvh/portable-move/java-eecc", requested=old).did.text == new
    with pytest.raises(KeyLogError, match="V14"):
        judge("didwebvh/portable-move/java-eecc", requested=old.replace("example.com", "example.net"))


@pytest.mark.parametrize(
    "case", json.loads((ROOT / "didwebvh-negative-py/resolver-suite.json").read_text()), ids=lambda case: case["did_url"]
)
def test_resolver_suite(case: dict) -> None:
    """The suite resolves DID URLs; we judge whole logs, and look up versions in those that hold."""
    name = f"didwebvh-negative-py/logs/{case['log']}"
    did, _, query = case["did_url"].partition("?")
    if name in BAD:
        with pytest.raises(KeyLogError):
            judge(name, requested=did)
        return
    log = judge(name, requested=did)
    wanted = dict(part.split("=") for part in query.split("&")) if query else {}
    numbers = [n for n, one in enumerate(log.version_ids, start=1) if all(_fits(n, one, item) for item in wanted.items())]
    if case["status"] == "ok":
        version = log.versions[numbers[-1] - 1]
        assert version.entry.version_id == case["didDocumentMetadata"]["versionId"]
        assert version.entry.time_text == case["didDocumentMetadata"]["versionTime"]
    else:
        assert numbers == []


def _fits(number: int, version_id: str, item: tuple[str, str]) -> bool:
    return {"versionId": version_id, "versionNumber": str(number)}[item[0]] == item[1]


def negative_dids() -> list[str]:
    found = [
        did
        for path in sorted(ROOT.glob("didwebvh/negative-*/script.yaml"))
        for did in re.findall(r'did: "(did:webvh:[^"]+)"', path.read_text())
    ]
    assert len(found) == 9
    return found


@pytest.mark.parametrize("did", negative_dids())
def test_negative_did(did: str) -> None:
    """As published, with an SCID that is none; and with a right one, so that the place alone must be refused."""
    for scid in ("Qm0000000000000000000000000000000000000000000000", SCID):
        with pytest.raises(KeyLogError, match="V9"):
            parse_did(did.replace("Qm0000000000000000000000000000000000000000000000", scid))


def test_addresses_of_the_specification() -> None:
    for place, url in {
        "example.com": "https://example.com/.well-known/did.jsonl",
        "issuer.example.com": "https://issuer.example.com/.well-known/did.jsonl",
        "example.com:dids:issuer": "https://example.com/dids/issuer/did.jsonl",
        "jp納豆.例.jp:用户": "https://xn--jp-cd2fp15c.xn--fsq.jp/%E7%94%A8%E6%88%B7/did.jsonl",
    }.items():
        assert parse_did(f"did:webvh:{SCID}:{place}").url() == url
    with_port = parse_did(f"did:webvh:{SCID}:example.com%3A3000:dids:issuer")
    assert with_port.url(loopback=True) == "https://example.com:3000/dids/issuer/did.jsonl"
    with pytest.raises(KeyLogError, match="port"):
        with_port.url()


@pytest.mark.parametrize(
    "host", ["\u0300a.example", "a\u2488b.example", "\u3002.example", "xn--\u00e9.example", "\uff1127.0.0.1"]
)
def test_odd_international_hosts_are_refused(host: str) -> None:
    with pytest.raises(KeyLogError, match="V9"):
        parse_did(f"did:webvh:{SCID}:{host}")
