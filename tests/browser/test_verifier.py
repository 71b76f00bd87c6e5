"""The verifier of the browser: the same verdict as Python's on everything, from the site and from a file on disk."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from payouts.ledger import canonical, ed25519
from payouts.ledger.bodies import TYPES
from payouts.ledger.errors import LedgerError
from payouts.ledger.multikey import multikey_bytes
from server.identity import keylog
from server.web import offline_page
from tests.browser import verifier
from tests.browser.conftest import SIZES, Visit
from tests.browser.site import Site
from tests.browser.verifier import GOLDEN, VECTORS, ask, data

PAGE = "/ledger/verify"
GOOD = {"name": "alice.statement.json.gz", "mimeType": "application/gzip", "buffer": verifier.good_statement()}
REASONS_MIN = 45


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page of the verifier, for a visitor."""
    opened = visit(None, "desktop")
    opened.goto(PAGE)
    return opened


def vectors(name: str) -> list[dict[str, Any]]:
    found = json.loads((GOLDEN / "ledger" / f"{name}.json").read_text())
    return [*found["good"], *found["bad"]]


def bytes_of(vector: dict[str, Any]) -> bytes:
    return vector["text"].encode() if "text" in vector else verifier.b64decode(vector["base64"])


def test_it_says_what_python_says(page: Page, tmp_path: Path) -> None:
    cases = list(verifier.cases())
    wanted = [verifier.python_says(case, tmp_path) for case in cases]
    statements = [case for case in cases if case["run"] == "verify"]
    said = iter(
        ask(page, "verify", "verifyStatement", [[data(one["data"]), {"policyText": one["policy"] or ""}] for one in statements])
    )
    forks = iter(ask(page, "verify", "verifyFork", [[data(one["data"]), one["keys"]] for one in cases if one["run"] != "verify"]))
    reasons = set()
    for case, want in zip(cases, wanted, strict=True):
        _, report = next(said if case["run"] == "verify" else forks)
        expected = json.loads(want)
        assert report.get("reason") == expected.get("reason"), (case["name"], expected)
        reasons.add(expected.get("reason"))
    assert len(reasons) >= REASONS_MIN


def test_the_shared_corpus(page: Page) -> None:
    for case, wanted in verifier.shared():
        name, more = (
            ("verifyStatement", {"policyText": case["policy"] or ""}) if case["run"] == "verify" else ("verifyFork", case["keys"])
        )
        ((_, report),) = ask(page, "verify", name, [[data(case["data"]), more]])
        said = {member: report.get(member) for member in wanted}
        assert (case["name"], numbers(said)) == (case["name"], numbers(wanted))


def numbers(value: Any) -> Any:
    """The sizes of logs as texts, as they cross over from the page."""
    if isinstance(value, dict):
        return {name: numbers(str(one) if name == "size" else one) for name, one in value.items()}
    if isinstance(value, list):
        return [str(one) if type(one) is int else numbers(one) for one in value]
    return value


def test_its_json_is_pythons_to_the_last_byte(page: Page, tmp_path: Path) -> None:
    for number, vector in enumerate(json.loads((GOLDEN / "ledger" / "statement.json").read_text())["good"]):
        case = {"run": "verify", "data": verifier.b64decode(vector["base64"]), "policy": vector.get("policy"), "keys": []}
        page.locator("[data-trust]").evaluate("(details) => { details.open = true }")
        page.get_by_label("Your policy").fill(case["policy"] or "")
        page.set_input_files("input[type=file]", {**GOOD, "name": f"{number}.gz", "buffer": case["data"]})
        expect(page.locator("[data-file-name]")).to_have_text(f"{number}.gz")
        expect(page.locator("[data-progress]")).to_be_hidden()
        assert page.locator(".verdict-json").text_content() + "\n" == verifier.python_says(case, tmp_path)


def test_entries_and_agreements(page: Page) -> None:
    entries = vectors("entry")
    said = ask(page, "entries", "parseEntry", [[data(bytes_of(one))] for one in entries])
    assert [reason for reason, _ in said] == [one.get("error") for one in entries]
    assert [value["leafHex"] for _, value in said if value] == [one["leaf"] for one in entries if "leaf" in one]

    agreements = vectors("agreement")
    keys = [{name: data(multikey_bytes(text, "ed25519")) for name, text in one["keys"].items()} for one in agreements]
    calls = [[data(bytes_of(one)), {"$map": known}] for one, known in zip(agreements, keys, strict=True)]
    said = ask(page, "agreement", "checkAgreement", calls)
    assert [reason for reason, _ in said] == [one.get("error") for one in agreements]
    assert [(value["id"], value["unknown"]) for _, value in said if value] == [
        (one["id"], one["unchecked"]) for one in agreements if "error" not in one
    ]


def test_ed25519_accepts_what_libsodium_accepts(page: Page) -> None:
    rows = json.loads((VECTORS / "ledger" / "cctv-ed25519.json").read_text())
    calls = [[data(bytes.fromhex(row["key"])), data(row["msg"].encode()), data(bytes.fromhex(row["sig"]))] for row in rows]

    def holds(check: Any, *arguments: bytes) -> bool:
        try:
            check(*arguments)
        except LedgerError:
            return False
        return True

    keys, messages, signatures = zip(
        *((bytes.fromhex(row["key"]), row["msg"].encode(), bytes.fromhex(row["sig"])) for row in rows), strict=True
    )
    accepted = [holds(ed25519.verify, *row) for row in zip(keys, messages, signatures, strict=True)]
    assert sum(accepted) == 43
    assert page.evaluate("async (url) => (await (await import(url)).primitive()).name", address("ed25519")) == "browser"
    assert [reason is None for reason, _ in ask(page, "ed25519", "verify", calls)] == accepted
    # The library, behind the same pre-check: an old browser must not judge otherwise.
    page.evaluate("() => { crypto.subtle.importKey = () => Promise.reject(new DOMException('no Ed25519', 'NotSupportedError')) }")
    fresh = page.evaluate("async (url) => (await (await import(url)).primitive()).name", f"{address('ed25519')}?fresh")
    assert fresh == "library"
    checked = page.evaluate(verifier.RUN, {"module": f"{address('ed25519')}?fresh", "name": "verify", "calls": calls})
    assert [reason is None for reason, _ in json.loads(checked)] == accepted
    registered = ask(page, "ed25519", "checkPublicKey", [[call[0]] for call in calls])
    assert [reason is None for reason, _ in registered] == [holds(ed25519.check_public_key, key) for key in keys]


def address(module: str) -> str:
    return str(verifier.staticfiles_storage.url(f"ledger-verifier/{module}.js"))


HOSTILE = [
    b"", b" 1", b"1 ", b"01", b"-", b"-0", b"1.", b"1.0", b"1e5", b"1E+5", b"NaN", b"-Infinity", b"Infinity", b"-I", b"tru", b"null",
    b"9007199254740991", b"9007199254740992", b"-9007199254740991", b"-9007199254740992", b"123456789012345678", b"1" * 5000,
    b'"', b'"a', b'"\\x"', b'"\\u12"', b'"\\u00e9"', b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"', b'"\x01"', b'"\x7f"', b'"\\u001f"',
    b'"\\u001F"', b'"\\/"', b'"\xed\xa0\x80"', b'"\xff"', b"\xef\xbb\xbf1", b'"e\xcc\x81"', b'"\xc3\xa9"', b'{"\xc3\xa9":1}', b'{"\\u00e9":1}',
    b"[1,]", b"[,1]", b"{1:2}", b'{"a":1,}', b'{"a" :1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'[{"a":1,"a":2},1.5]',
    b'{"a":"e\xcc\x81","a":1}', b'{"__proto__":1}', b'{"1":1,"02":2}', b'{"":0}', b"[[[[[[1]]]]]]", b"[[[[[[[1]]]]]]]", b"[[[[[[[]]]]]]]",
    b'{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}', b"[" * 600, b"[" * 600 + b"]" * 600, b'[{"\xc3\xa9":1},"e\xcc\x81"]', b'["\\ud800","e\xcc\x81"]',
    b"[true,false,null]", b"[1 ,2]", b"1,2", b'"a" "b"',
]  # fmt: skip


def test_canonical_json_and_jcs(page: Page) -> None:
    jcs = sorted((VECTORS / "identity" / "jcs").rglob("*.json"))
    texts = [*HOSTILE, *(path.read_bytes() for path in jcs), *(path.read_bytes().strip() for path in jcs)]

    def python(text: bytes) -> str | None:
        try:
            canonical.decode(text, bytes_max=100_000)
        except LedgerError as error:
            return error.code
        return None

    said = ask(page, "canonical", "decode", [[data(text), 100_000] for text in texts])
    assert [(text[:40], reason) for text, (reason, _) in zip(texts, said, strict=True)] == [
        (text[:40], python(text)) for text in texts
    ]
    assert len(jcs) >= 2


def test_key_logs(page: Page) -> None:
    logs = [(one["log"], one["now"]) for one in json.loads((GOLDEN / "identity" / "logs.json").read_text())]
    logs += [(path.read_text(), "2026-12-22T12:00:00Z") for path in sorted((VECTORS / "identity").rglob("did.jsonl"))]

    def python(log: str, now: str) -> bool:
        try:
            caps = keylog.HARD
            verified = keylog.verify_policy(log.encode(), now=datetime.fromisoformat(now), caps=caps, loopback=True)
            for version in verified.versions:
                keylog.read(version.entry.state)
        except keylog.KeyLogError:
            return False
        return True

    wanted = [python(*one) for one in logs]
    milliseconds = [int(datetime.fromisoformat(now).timestamp()) * 1000 for _, now in logs]
    lines = [log.removesuffix("\n").split("\n") for log, _ in logs]
    said = ask(page, "keylog", "verifyLog", [list(one) for one in zip(lines, milliseconds, strict=True)])
    assert {reason for reason, _ in said} == {None, "bad_identity_log"}
    assert [reason is None for reason, _ in said] == wanted


def test_its_tables_are_pythons(page: Page) -> None:
    ((_, table),) = ask(page, "bodies", "typeTable", [[]])
    assert table == {name: {"body": sorted(row.body), "touches": sorted(row.touches)} for name, row in TYPES.items()}
    reasons = page.evaluate("async (url) => (await import(url)).REASONS", address("reasons"))
    said = {one.code: " ".join((one.__doc__ or "").split()) for one in every(LedgerError)}
    assert reasons == {code: said[code] for code in reasons}
    folder = offline_page.STATIC / "ledger-verifier"
    used = {code for path in folder.glob("*.js") for code in re.findall(r'refuse\(\s*"(\w+)"', path.read_text())}
    assert used <= reasons.keys()


def every(kind: type[LedgerError]) -> list[type[LedgerError]]:
    return [one for child in kind.__subclasses__() for one in (child, *every(child))]


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_person_reads_the_verdict(visit: Visit, size: str) -> None:
    page = visit(None, size)
    page.goto(PAGE)
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", name="No file yet")).to_be_visible()
    page.set_input_files("input[type=file]", GOOD)
    expect(page.get_by_role("heading", name="Verified")).to_be_focused()
    expect(page.locator("[data-result]")).to_contain_text("Owed 37.725806 EUR")
    expect(page.locator("[data-result]")).to_contain_text("As of entry 22, 1 December 2026 at 10:00 UTC, in a log of 23 entries.")
    expect(page.locator("[data-result] .badge").first).to_have_text("witnessed by 2")
    changed = bytearray(GOOD["buffer"])
    changed[len(changed) // 2] ^= 1
    page.set_input_files("input[type=file]", {**GOOD, "buffer": bytes(changed)})
    expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    expect(page.locator("[data-result] code").first).to_have_text("statement_damaged")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_a_fork_proof_asks_for_the_key_of_the_log(page: Page) -> None:
    vector = json.loads((GOLDEN / "ledger" / "fork.json").read_text())["good"][0]
    fork = {"name": "fork.json", "mimeType": "application/json", "buffer": vector["text"].encode()}
    page.set_input_files("input[type=file]", fork)
    expect(page.get_by_role("heading", name="Which log is it about?")).to_be_visible()
    expect(page.get_by_label("Keys of the log")).to_be_focused()
    page.get_by_label("Keys of the log").fill("\n".join(vector["keys"]))
    page.get_by_role("button", name="Verify").press("Enter")
    expect(page.get_by_role("heading", name="The proof holds")).to_be_visible()
    expect(page.locator("[data-result]")).to_contain_text(f"at {vector['sizes'][0]} and at {vector['sizes'][1]} entries")


def test_the_saved_page_works_from_disk_without_a_network(page: Page, browser: Browser, tmp_path: Path) -> None:
    with page.expect_download() as saved:
        page.get_by_role("link", name="save this page as one file").click()
    file = tmp_path / saved.value.suggested_filename
    saved.value.save_as(file)
    assert file.read_text() == offline_page.build()
    context = browser.new_context(offline=True, **SIZES["phone"])
    problems: list[str] = []
    asked: list[str] = []
    alone = context.new_page()
    alone.on("console", lambda message: problems.append(message.text))
    alone.on("pageerror", lambda error: problems.append(str(error)))
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(file.as_uri())
    alone.set_input_files("input[type=file]", GOOD)
    expect(alone.get_by_role("heading", name="Verified")).to_be_visible()
    expect(alone.locator("[data-result]")).to_contain_text("Owed 37.725806 EUR")
    # Its own policy lets it speak to nobody, whatever a script in it would want.
    refused = alone.evaluate("() => fetch('http://localhost:9/').then(() => 'sent', (error) => error.name)")
    assert refused == "TypeError"
    assert any("Content Security Policy" in problem for problem in problems)
    assert [problem for problem in problems if "Content Security Policy" not in problem and "localhost:9" not in problem] == []
    assert [url for url in asked if url != file.as_uri()] == []
    context.close()


def test_without_scripts_it_says_how_else(visit: Visit, site: Site) -> None:
    page = visit(None, "phone", java_script_enabled=False)
    page.goto(PAGE)
    expect(page.get_by_text("python -m payouts.ledger verify FILE")).to_be_visible()
    expect(page.get_by_role("button", name="Verify")).to_be_hidden()
