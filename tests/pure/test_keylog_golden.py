"""Golden bytes and refusal vectors of our own formats: regenerated, judged by the product, judged by another implementation."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.core import canonical
from server.identity import hostgrant, keylog, receipts
from server.identity.keylog import SOFT, KeyLogError, PolicyLog, SpecLog, heads
from tests.vectors.golden.identity import generate

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests/vectors/golden/identity"
CHECKER = ROOT / "tests/independent/check_identity.py"
# What a second implementation was measured against; to change a byte is to make a new version of the format.
FROZEN = {
    "did.jsonl": "ff5d1e443197719dc89b77f1485aaca314a9fc9e7e22317b7d268be59e41e333",
    "host-grant.json": "a38c0feea71a0c87d1316ba78ae2ead704b3925f91218690bf6bd62b2694a4c7",
    "receipt.json": "deda6162e39e72123974a0a0acfc25086f949c8804df2346fcd4b0ca89bf0947",
}


def cases(file: str) -> list[dict]:
    return json.loads((GOLDEN / file).read_text())


# Made from random RSA keys and salts, so by hand; tests/pure/test_identity_tool.py and test_move_requests.py judge them.
ELSEWHERE = {"key-files.json", "signed-move.json"}
VERDICTS = sorted({path.name for path in GOLDEN.glob("*s.json")} - {"keys.json", "dids.json", *ELSEWHERE} | {"evidence.json"})
LOGS = {case["name"]: case for case in cases("logs.json")}


def judge_log(case: dict) -> SpecLog:
    judge = keylog.verify_policy if case["judge"] == "policy" else keylog.verify_spec
    log = judge(
        case["log"].encode(),
        now=canonical.parse_time(case["now"]),
        caps=SOFT,
        requested=case.get("requested"),
        witness_file=json.dumps(case["witness"]).encode() if "witness" in case else None,
        loopback=case.get("loopback", False),
    )
    if "pinned" in case:
        assert isinstance(log, PolicyLog)
        keylog.check_pin(log, pinned=case["pinned"])
    return log


def log_named(name: str) -> PolicyLog:
    log = judge_log(LOGS[name])
    assert isinstance(log, PolicyLog)
    return log


def test_the_golden_bytes_are_frozen() -> None:
    for name, digest in FROZEN.items():
        assert hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest() == digest


def test_the_generator_makes_the_same_bytes_again() -> None:
    made = generate.files()
    for name, data in made.items():
        assert data == (GOLDEN / name).read_bytes(), f"{name} differs; run python -m tests.vectors.golden.identity.generate"
    assert set(made) | ELSEWHERE == {path.name for path in GOLDEN.iterdir() if path.suffix in {".json", ".jsonl"}}


@pytest.mark.parametrize("name", sorted(LOGS))
def test_log(name: str) -> None:
    case = LOGS[name]
    if case["verdict"] != "accepted":
        with pytest.raises(KeyLogError) as caught:
            judge_log(case)
        assert caught.value.rule == case["verdict"]
        return
    log = judge_log(case)
    if case["judge"] == "policy":
        assert case["expected"] == {
            "scid": log.scid,
            "versionId": log.version_ids[-1],
            "did": log.did.text,
            "custody": log.custody,
            "keyIndexes": [version.key_index for version in log.versions],
        }
        # Whatever our policy accepts is an ordinary did:webvh log.
        assert judge_log({name: value for name, value in case.items() if name != "pinned"} | {"judge": "spec"}).scid == log.scid


def test_every_rule_has_a_refusal() -> None:
    refused = {case["verdict"] for case in LOGS.values()} | {
        case["verdict"] for case in (*cases("forks.json"), *cases("objects.json"))
    }
    assert refused >= {f"V{n}" for n in range(1, 18)} | {"V8b"}


@pytest.mark.parametrize("case", cases("dids.json"), ids=lambda case: case["did"])
def test_did(case: dict) -> None:
    if case["url"] is None:
        with pytest.raises(KeyLogError, match="V9"):
            keylog.parse_did(case["did"], loopback=case["loopback"]).url(loopback=case["loopback"])
    else:
        assert keylog.parse_did(case["did"], loopback=case["loopback"]).url(loopback=case["loopback"]) == case["url"]


@pytest.mark.parametrize("case", cases("host-grants.json"), ids=lambda case: case["name"])
def test_host_grant(case: dict) -> None:
    log, now = log_named(case["log"]), canonical.parse_time(case["now"])

    def act() -> hostgrant.HostGrant:
        if case["act"] == "check":
            return hostgrant.check_host_grant(case["grant"], log=log, audience=case["audience"], now=now)
        return hostgrant.accept_host_grant(
            case["grant"], log=log, audience=case["audience"], nonce=case["nonce"], now=now, nonce_is_fresh=case["nonceIsFresh"]
        )

    if case["verdict"] == "accepted":
        assert act().home_key == case["grant"]["homeKey"]
    else:
        with pytest.raises(hostgrant.GrantRefused) as caught:
            act()
        assert type(caught.value).__name__ == case["verdict"]


@pytest.mark.parametrize("case", cases("receipts.json"), ids=lambda case: case["name"])
def test_receipt(case: dict) -> None:
    def act() -> receipts.Receipt:
        return receipts.verify_receipt(
            case["receipt"],
            replica=case["replica"],
            verification_method=case["verificationMethod"],
            public=canonical.multikey_ed25519_decode(case["publicKey"]),
            now=canonical.parse_time(case["now"]),
        )

    if case["verdict"] == "accepted":
        assert act().version_id == case["receipt"]["versionId"]
    else:
        with pytest.raises(receipts.ReceiptRefused) as caught:
            act()
        assert type(caught.value).__name__ == case["verdict"]


@pytest.mark.parametrize("case", cases("forks.json"), ids=lambda case: case["name"])
def test_fork(case: dict) -> None:
    left, right = (keylog.verify_policy(case[side].encode(), now=generate.NOW, caps=SOFT) for side in ("left", "right"))
    if case["verdict"] == "V16":
        with pytest.raises(KeyLogError, match="V16"):
            keylog.settle_fork(left, right, first_seen=case["firstSeen"])
        return
    for one, other, expected in (
        (left, right, case["verdict"]),
        (right, left, {"left": "right", "right": "left"}.get(case["verdict"])),
    ):
        branch = keylog.settle_fork(one, other, first_seen=case["firstSeen"])
        assert (branch is None) == (case["verdict"] == "contested")
        if branch is not None:
            assert branch.log is {"left": one, "right": other}[expected or ""]


@pytest.mark.parametrize("case", cases("objects.json"), ids=lambda case: case["name"])
def test_object(case: dict) -> None:
    log = log_named(case["log"])
    covered_at = canonical.parse_time(case["coveredAt"]) if "coveredAt" in case else None
    created = canonical.parse_time(case["created"])
    if case["verdict"] == "accepted":
        keylog.check_object(log, scid=case["scid"], key=case["key"], created=created, covered_at=covered_at)
    else:
        with pytest.raises(KeyLogError, match="V17"):
            keylog.check_object(log, scid=case["scid"], key=case["key"], created=created, covered_at=covered_at)


# -- the other implementation -----------------------------------------------------------------------------------------


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    # -I: neither the project nor the environment is on the path, so no product code can be imported.
    return subprocess.run([sys.executable, "-I", CHECKER, directory], capture_output=True, text=True, timeout=60, check=False)


def test_a_second_implementation_agrees_on_every_vector() -> None:
    done = check(GOLDEN)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = sum(len(cases(name)) for name in ("dids.json", *VERDICTS))
    assert f"{expected + sum('expected' in case for case in LOGS.values())} verdicts, 0 disagreements" in done.stdout


def test_the_second_implementation_shares_no_code() -> None:
    imported = set(re.findall(r"^(?:from|import) ([a-z0-9_]+)", CHECKER.read_text(), re.MULTILINE))
    assert imported <= sys.stdlib_module_names | {"nacl", "base58"}


def test_the_second_implementation_would_notice(tmp_path: Path) -> None:
    directory = tmp_path / "golden"
    shutil.copytree(GOLDEN, directory, ignore=shutil.ignore_patterns("__pycache__"))
    for name in VERDICTS:
        text = (GOLDEN / name).read_text()
        (directory / name).write_text(
            text.replace('"verdict": "accepted"', '"verdict": "V0"').replace('"verdict": "left"', '"verdict": "V0"')
        )
        done = check(directory)
        assert done.returncode == 1
        assert "published V0" in done.stdout
        (directory / name).write_text(text)


# -- the pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "heading", "golden"),
    [
        ("key-log", "## 1. Example", "did.jsonl"),
        ("host-grant", "## 1. HostGrant", "host-grant.json"),
        ("host-grant", "## 2. Receipt", "receipt.json"),
        ("outbox-head", "## 1. Example", "outbox-head.json"),
    ],
)
def test_the_examples_of_the_pages_are_the_golden_bytes(page: str, heading: str, golden: str) -> None:
    text = (ROOT / f"docs/reference/{page}.md").read_text().partition(heading)[2]
    shown = json.loads(text.partition("```json\n")[2].partition("```")[0])
    lines = (GOLDEN / golden).read_bytes().splitlines()
    assert canonical.jcs(shown) == lines[2 if golden == "did.jsonl" else 0]


def test_the_page_names_every_refusal() -> None:
    page = (ROOT / "docs/reference/host-grant.md").read_text()
    for one in (*hostgrant.GrantRefused.__subclasses__(), *receipts.ReceiptRefused.__subclasses__()):
        assert f"`{one.__name__}`" in page
    page = (ROOT / "docs/reference/outbox-head.md").read_text()
    for refusal in heads.HeadRefused.__subclasses__():
        assert f"`{refusal.__name__}`" in page
    rules = {one.rule for one in KeyLogError.__subclasses__() if one.rule.startswith("V")}
    page = (ROOT / "docs/reference/key-log.md").read_text()
    assert all(re.search(rf"\*\*{rule}\b", page) for rule in rules)
