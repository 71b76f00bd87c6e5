"""The recovery tool: the browser's and Python's say the same, to the byte; the kit comes back; the network is off until "Send"."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, PublicKey, SealedBox
from playwright.sync_api import Browser, Page, expect

from server.core import canonical, proofs
from server.identity import actions, hostgrant, keyfile, keylog, mnemonic, moverequests, owner, queries, signing, tool
from server.identity.offer import offer_document
from server.web import offline_page
from tests.browser.conftest import SIZES, Visit
from tests.browser.owner_keys import b64, run, unb64
from tests.browser.test_identity_keys import VECTORS, milliseconds, offer_for
from tests.browser.test_keys_pages import KEYS, Traffic, make_words, no_wider, secrets_of, take
from tests.pure import identities
from tests.pure.identities import NOW
from tests.pure.test_move_requests import SPOILS
from tests.world import World

LATER = NOW + timedelta(days=5)
NEW = "https://new.example/users/alice"
GOLDEN_MOVE = json.loads((VECTORS / "golden/identity/signed-move.json").read_text())
WORDS = mnemonic.words(bytes(range(32)), language="french")
SEED = mnemonic.seed(WORDS)


@pytest.fixture
def alone(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The saved tool, opened from disk without a network, five days later. It asks nobody for anything."""
    file = tmp_path / "identity-tool.html"
    file.write_text(offline_page.build(offline_page.TOOL))
    context = browser.new_context(offline=True, **SIZES["phone"])
    context.set_default_timeout(10_000)
    opened = context.new_page()
    opened.clock.set_fixed_time(LATER)
    problems: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    assert problems == []
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    context.close()


def owned() -> keylog.PolicyLog:
    user, box = keylog.multikey_of(mnemonic.user_key(SEED, 0)), owner.box_multikey(mnemonic.box_key(SEED))
    next_keys = [keylog.key_hash(owner.paper_multikey(SEED, 0)), *identities.commit("custodian")]
    return keylog.give_to_owner(
        identities.under_server(),
        user_key=user,
        box_key=box,
        key=identities.key("root-2"),
        next_keys=next_keys,
        now=NOW + timedelta(days=1),
    )


def command(tmp_path: Path, *arguments: str, files: dict[str, bytes]) -> bytes:
    """What Python's tool writes for the same."""
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "words.txt").write_text(WORDS)
    whole = [str(tmp_path / one) if one in files else one for one in arguments]
    out = tmp_path / "out"
    code = tool.main([*whole, "--words", str(tmp_path / "words.txt"), "-o", str(out), "--now", canonical.time_text(LATER)])
    assert code == 0
    return out.read_bytes()


def give(page: Page, log: bytes, words: str = WORDS) -> None:
    page.get_by_label("The file did.jsonl").set_input_files({"name": "did.jsonl", "mimeType": "text/plain", "buffer": log})
    expect(page.get_by_role("heading", name="Verified")).to_be_visible()
    page.get_by_label("Recovery words").fill(words)


def act(page: Page, button: str) -> bytes:
    """Press the button of the act that is open, and read the file that is saved."""
    page.get_by_role("button", name=button, exact=True).locator("visible=true").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as a file").click()
    return Path(saved.value.path()).read_bytes()


def saved_from(page: Page, link: str, file: Path) -> Path:
    """What the page gives for download, as ``file``."""
    with page.expect_download() as offered:
        page.get_by_role("link", name=link).click()
    offered.value.save_as(file)
    return file


def opened(page: Page, summary: str) -> None:
    page.locator("summary", has_text=summary).click()


def test_rotate_and_recover(alone: Page, tmp_path: Path) -> None:
    log = owned().data
    give(alone, log)
    assert no_wider(alone)
    expect(alone.locator("[data-facts]")).to_contain_text("you (the owner)")
    for summary, name in (("Replace the paper key", "rotate"), ("Take my identity back", "recover")):
        opened(alone, summary)
        made = act(alone, "Sign")
        assert made == command(tmp_path, name, "did.jsonl", files={"did.jsonl": log})
        assert keylog.verify_policy(made, now=LATER, caps=keylog.SOFT).head.key_index == 0
        opened(alone, summary)


@pytest.mark.parametrize("recovery", [False, True])
def test_move(alone: Page, tmp_path: Path, recovery: bool) -> None:
    log = owned()
    offer = json.dumps(offer_document(offer_for(log, "new.example"))).encode()
    give(alone, log.data)
    opened(alone, "Move to a new home")
    alone.get_by_label("Offer of the new home").set_input_files(
        {"name": "offer.json", "mimeType": "application/json", "buffer": offer}
    )
    if recovery:
        alone.get_by_label("The new home may help me").check()
    made = act(alone, "Sign the move")
    extra = ["--recovery"] if recovery else []
    assert made == command(
        tmp_path, "move", "did.jsonl", "offer.json", *extra, files={"did.jsonl": log.data, "offer.json": offer}
    )
    body = json.loads(made)
    moved = keylog.verify_policy("\n".join(body["log"]).encode(), now=LATER, caps=keylog.SOFT)
    hostgrant.check_host_grant(body["grant"], log=moved, audience="https://new.example", now=LATER)
    expect(alone.get_by_label("Or send it")).to_have_value(f"{NEW}/move")


def test_sealed_files_and_the_signing_key(alone: Page, tmp_path: Path) -> None:
    log = owned().data
    give(alone, log)
    opened(alone, "Seal a file to myself")
    alone.get_by_label("File", exact=True).set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"secret \xff"})
    sealed = act(alone, "Seal")
    assert command(tmp_path, "open", "a.sealed", files={"a.sealed": sealed}) == b"secret \xff"
    (tmp_path / "b.txt").write_bytes(b"other")
    (tmp_path / "did.jsonl").write_bytes(log)
    assert (
        tool.main(["seal", "--log", str(tmp_path / "did.jsonl"), str(tmp_path / "b.txt"), "-o", str(tmp_path / "b.sealed")]) == 0
    )
    opened(alone, "Open a sealed file")
    alone.get_by_label("Sealed file").set_input_files(str(tmp_path / "b.sealed"))
    assert act(alone, "Open") == b"other"
    opened(alone, "Your keys")
    key = act(alone, "Show").decode()
    assert canonical.multibase_decode(key) == b"\x80\x26" + bytes(mnemonic.user_key(SEED, 0))


def test_a_route_can_be_read_by_the_debtor_alone(alone: Page) -> None:
    log, debtor = owned(), PrivateKey(bytes(range(1, 33)))
    give(alone, log.data)
    opened(alone, "Say where I am to be paid")
    alone.get_by_label("Who pays").fill("peer.example/ledger/1")
    alone.get_by_label("Its box key").fill(canonical.multikey_x25519(bytes(debtor.public_key)))
    alone.get_by_label("Account").fill('{"iban":"DE00"}')
    route = json.loads(act(alone, "Seal and sign"))
    assert SealedBox(debtor).decrypt(base64.b64decode(route["sealed"])) == b'{"iban":"DE00"}'
    public = canonical.multikey_ed25519_decode(keylog.multikey_of(mnemonic.user_key(SEED, 0)))
    proofs.verify_proof(route, route["proof"], public=public, now=LATER)
    assert (route["scid"], route["seq"], route["debtor"]) == (log.scid, 1, "peer.example/ledger/1")
    assert f"?versionId={log.head.entry.version_id}#user-2" in route["proof"]["verificationMethod"]


def test_the_move_for_other_networks(alone: Page, tmp_path: Path) -> None:
    """The tool signs what the new home asked for, as Python does; and by proof alone where the old account's key is lost."""
    log, archived = GOLDEN_MOVE["log"].encode(), json.dumps({"v": 1, "keys": [{"privateKeyPem": GOLDEN_MOVE["pem"]}]}).encode()
    keys = SealedBox(PublicKey(bytes(mnemonic.box_key(SEED).public_key))).encrypt(archived)
    requests = json.dumps(GOLDEN_MOVE["requests"], indent=2).encode()
    files = {"did.jsonl": log, "requests": requests, "keys.sealed": keys}
    give(alone, log)
    opened(alone, "Tell servers that keep no key logs")
    alone.get_by_label("What your new home asks to be signed").set_input_files(
        {"name": "move-requests.json", "mimeType": "application/json", "buffer": requests}
    )
    proven = act(alone, "Sign")
    assert proven == command(tmp_path, "tell", "did.jsonl", "requests", files=files)
    alone.get_by_label("keys.sealed").set_input_files(
        {"name": "keys.sealed", "mimeType": "application/octet-stream", "buffer": keys}
    )
    made = act(alone, "Sign")
    assert made == command(tmp_path, "tell", "did.jsonl", "requests", "--keys", "keys.sealed", files=files)
    policy = keylog.verify_policy(log, now=LATER, caps=keylog.SOFT)
    asked = moverequests.read_requests(requests, log=policy)
    for data, count in ((proven, 0), (made, 2)):
        assert len(moverequests.read_signed(data, requests=asked, log=policy, now=LATER).headers) == count


REFUSED = {
    "other words": (mnemonic.words(bytes(32)), "these words do not hold the next key"),
    "words that are none": ("abandon " * 24, "These are not valid recovery words"),
    "no words": ("", "Enter your recovery words first"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(alone: Page, name: str) -> None:
    words, said = REFUSED[name]
    give(alone, owned().data, words)
    opened(alone, "Take my identity back")
    alone.get_by_role("button", name="Sign", exact=True).locator("visible=true").click()
    expect(alone.get_by_role("alert")).to_contain_text(said)
    expect(alone.get_by_role("heading", name="Done")).to_be_hidden()


def test_a_log_that_was_changed_is_refused_by_name(alone: Page) -> None:
    bad = owned().data.replace(b'"custody":"owner"', b'"custody":"server"')
    alone.get_by_label("The file did.jsonl").set_input_files({"name": "did.jsonl", "mimeType": "text/plain", "buffer": bad})
    expect(alone.get_by_role("alert")).to_contain_text("V4")


def test_signing_and_key_files_are_the_same_bytes(visit: Visit) -> None:
    page = visit(None, "desktop", bypass_csp=True)
    page.goto("/about")
    key = mnemonic.user_key(SEED, 0)
    route = {"scid": owned().scid, "debtor": "peer.example/ledger/1", "seq": 7, "method": "did:x#user-1"}
    given = {"seed": b64(bytes(key)), "now": milliseconds(NOW), "route": {**route, "sealed": b64(b"sealed")}}
    method = str(route.pop("method"))
    signed = signing.payout_route(**route, sealed=b"sealed", key=key, verification_method=method, now=NOW)  # type: ignore[arg-type]
    assert run(page, "signing", given) == signed

    good = {"log": GOLDEN_MOVE["log"], "seed": b64(bytes.fromhex(GOLDEN_MOVE["seed"])), "pem": GOLDEN_MOVE["pem"]}
    good |= {"now": milliseconds(canonical.parse_time(GOLDEN_MOVE["now"]))}
    documents = [json.dumps({**GOLDEN_MOVE["requests"], **spoil}) for spoil in SPOILS]
    documents.append(json.dumps(GOLDEN_MOVE["requests"]).replace('"v": 1', '"v": 1, "v": 1'))
    asked = [{**good, "requests": one} for one in (json.dumps(GOLDEN_MOVE["requests"]), *documents)]
    assert run(page, "moves", asked) == [GOLDEN_MOVE["signed"], *["bad_move_requests"] * len(documents)]

    vectors = json.loads((VECTORS / "golden/identity/key-files.json").read_text())
    for one in vectors:
        secret = {name: one[name] for name in ("words", "language", "scid")}
        salt, nonce = bytes.fromhex(one["salt"]), bytes.fromhex(one["nonce"])
        file = keyfile.lock(keyfile.Secret(**secret), one["password"], salt=salt, nonce=nonce, memory_kib=one["memory_kib"])
        assert file == one["file"]
        asked = {
            "secret": secret,
            "password": one["password"],
            "salt": b64(salt),
            "nonce": b64(nonce),
            "memory_kib": one["memory_kib"],
        }
        assert run(page, "lock", asked) == one["file"]
        good = json.loads(one["file"])
        flipped = unb64(good["sealed"])
        bad = [
            {**good, "sealed": b64(flipped[:-1] + bytes([flipped[-1] ^ 1]))}, {**good, "v": 2}, {**good, "more": 1},
            {**good, "memory_kib": 2**30}, {**good, "passes": 99}, {**good, "salt": b64(b"short")}, {**good, "kdf": "scrypt"}, [], 7,
        ]  # fmt: skip
        cases = [
            (one["file"], one["password"]),
            (one["file"], "wrong"),
            ("no json", "x"),
            *((json.dumps(each), one["password"]) for each in bad),
        ]
        said = run(page, "unlock", [list(case) for case in cases])
        assert said == [python_unlocks(*case) for case in cases]
        assert said[1] == "wrong_password"
        assert said[0]["language"] == one["language"]


def python_unlocks(file: str, password: str) -> Any:
    try:
        return vars(keyfile.unlock(file, password))
    except (keyfile.BadKeyFile, keyfile.WrongPassword) as error:
        return error.code


@pytest.mark.slow
def test_the_kit_brings_the_identity_to_a_new_home(
    visit: Visit, browser: Browser, people: World, tmp_path: Path, site: Any
) -> None:
    """A15, the second half: made at sign-up, opened from disk without a network, sent once; nothing secret is ever sent."""
    page = visit(people.alice, "phone")
    traffic = Traffic(page)
    page.goto(KEYS)
    words = make_words(page, language="japanese", recovery=False)
    page.get_by_label("A password for the file").fill("maple river lantern")
    # Argon2id over 256 MiB takes its time on a machine that is busy.
    with page.expect_download(timeout=60_000) as saved:
        page.get_by_role("button", name="Save the kit").click()
    assert saved.value.suggested_filename == "recovery-kit-alice.html"
    kit = tmp_path / "kit.html"
    saved.value.save_as(kit)
    take(page, words)
    secrets = secrets_of(words)
    traffic.check([*secrets, b"maple river lantern"])
    text = kit.read_bytes()
    assert not any(secret in text for secret in secrets)

    # Bob's empty account is to be her new home; her old one is asked nothing.
    identity = queries.by_scid(people.alice.scid)
    # The page that looks for an identity refuses one that lives on this very server, as hers does here.
    actions.offer_home(
        scid=identity.scid, handle="bob", actor_uri=people.bob.uri, home_key=people.bob.keys.get(name="home-1").public
    )
    bob = visit(people.bob, "phone")
    bob.goto("/settings/identity/bring/sign")
    offer, log = (
        saved_from(bob, link, tmp_path / file) for link, file in (("the offer", "offer.json"), ("your log", "did.jsonl"))
    )

    context = browser.new_context(offline=True, **SIZES["phone"])
    alone = context.new_page()
    sent = Traffic(alone)
    alone.goto(kit.as_uri())
    alone.get_by_label("Password of the kit").fill("maple river lanterns")
    alone.get_by_role("button", name="Open the kit").click()
    expect(alone.get_by_role("alert")).to_contain_text("does not open the kit", timeout=60_000)
    alone.get_by_label("Password of the kit").fill("maple river lantern")
    alone.get_by_role("button", name="Open the kit").click()
    expect(alone.locator("[data-kit] .words li")).to_have_count(24, timeout=60_000)
    expect(alone.get_by_role("img", name="Your recovery words as a QR code")).to_be_visible()
    alone.get_by_label("The file did.jsonl").set_input_files(str(log))
    opened(alone, "Move to a new home")
    alone.get_by_label("Offer of the new home").set_input_files(str(offer))
    alone.get_by_role("button", name="Sign the move").click()
    expect(alone.get_by_label("Or send it")).to_have_value(f"{people.bob.uri}/move")
    assert {url.split(b":")[0] for url in (one.split(b" ")[1] for one in sent.sent)} <= {b"file", b"blob"}
    context.set_offline(False)
    alone.get_by_role("button", name="Send").click()
    expect(alone.get_by_text("Sent, and accepted.")).to_be_visible()
    assert b"POST" in b"".join(sent.sent)
    for secret in secrets:
        assert all(secret not in one and secret.hex().encode() not in one for one in sent.sent)
    context.close()
    moved = queries.by_scid(identity.scid)
    assert (moved.actor_uri, moved.custody) == (people.bob.uri, "owner")
    people.bob.refresh_from_db()
    assert people.bob.scid == identity.scid
    assert site.origin in people.bob.uri
