"""The owner's keys in the browser: every vector, and entry by entry the same bytes as Python writes."""

import hashlib
import json
import random
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey
from playwright.sync_api import Page

from server.core import canonical
from server.identity import hostgrant, keylog, mnemonic, owner
from server.identity.offer import Offer, offer_document
from tests.browser.conftest import Visit
from tests.browser.owner_keys import b64, run, unb64
from tests.pure import identities
from tests.pure.identities import NOW

VECTORS = Path(__file__).parent.parent / "vectors"
BIP39 = json.loads((VECTORS / "identity/bip39/vectors.json").read_text())
SLIP10 = json.loads((VECTORS / "identity/slip10/ed25519_vectors.json").read_text())
WORDS = Path(mnemonic.__file__).parent / "wordlists"
SEED = 20261129
ROUNDS = 6


@pytest.fixture
def page(visit: Visit) -> Page:
    """A page of the site whose policy lets BLAKE2b's WebAssembly run."""
    opened = visit(None, "desktop", bypass_csp=True)
    opened.goto("/about")
    return opened


def list_of(language: str) -> str:
    return (WORDS / f"{language}.txt").read_text()


def milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def test_bip39_in_every_language(page: Page) -> None:
    assert set(BIP39) == set(mnemonic.LANGUAGES)
    for language, cases in BIP39.items():
        given = [
            {"entropy": b64(bytes.fromhex(entropy)), "sentence": sentence, "list": list_of(language), "language": language}
            for entropy, sentence, _, _ in cases
        ]
        expected = [[mnemonic.words(bytes.fromhex(entropy), language=language), entropy, seed] for entropy, _, seed, _ in cases]
        said = run(page, "words", given)
        assert [[one[0], unb64(one[1]).hex(), unb64(one[2]).hex()] for one in said] == [
            [canonical_form(words), entropy, seed] for words, entropy, seed in expected
        ]


def canonical_form(words: str) -> str:
    return unicodedata.normalize("NFKD", words)


def test_words_that_are_none(page: Page) -> None:
    good = mnemonic.words(bytes(32))
    sentences = [
        "", "abandon", good + " abandon", good.replace("art", "abandon"), good.replace("art", "arts"), "x" * 2000,
        good.upper(), "  " + good.replace(" ", " \n"),
    ]  # fmt: skip

    def refused(sentence: str) -> str | None:
        try:
            mnemonic.entropy(sentence, language="english")
        except mnemonic.BadWords as error:
            return error.code
        return None

    expected = [refused(sentence) for sentence in sentences]
    assert run(page, "refused", {"sentences": sentences, "list": list_of("english")}) == expected
    assert set(expected) == {None, "bad_words"}


def test_slip_0010(page: Page) -> None:
    said = run(page, "derive", [{"seed": b64(bytes.fromhex(one["seed"])), "path": one["path"]} for one in SLIP10])
    assert [[unb64(key).hex(), unb64(code).hex()] for key, code, _ in said] == [
        [one["private"], one["chainCode"]] for one in SLIP10
    ]
    assert [multikey for _, _, multikey in said] == [
        canonical.multikey_ed25519(bytes.fromhex(one["public"])[1:]) for one in SLIP10
    ]


def test_ed25519_signs_the_same_with_and_without_the_browsers_help(page: Page) -> None:
    chance = random.Random(SEED)
    keys = [chance.randbytes(32) for _ in range(8)]
    messages = [chance.randbytes(size) for size in (0, 1, 31, 64, 65, 200, 1000, 4096)]
    given = [{"seed": b64(key), "message": b64(message)} for key, message in zip(keys, messages, strict=True)]
    expected = [
        [keylog.multikey_of(SigningKey(key)), b64(SigningKey(key).sign(message).signature)]
        for key, message in zip(keys, messages, strict=True)
    ]
    assert run(page, "sign", given) == expected
    page.evaluate("""() => { const before = crypto.subtle.importKey.bind(crypto.subtle);
      crypto.subtle.importKey = (format, key, algorithm, ...rest) => algorithm.name === "Ed25519"
        ? Promise.reject(new DOMException("no Ed25519", "NotSupportedError")) : before(format, key, algorithm, ...rest); }""")
    assert run(page, "sign", given) == expected


def test_sealed_boxes_both_ways(page: Page) -> None:
    chance = random.Random(SEED)
    for size in (0, 1, 1000, 70_000):
        box, data = PrivateKey(chance.randbytes(32)), chance.randbytes(size)
        sealed = unb64(run(page, "seal", {"data": b64(data), "recipient": b64(bytes(box.public_key))}))
        assert SealedBox(box).decrypt(sealed) == data
        by_python = SealedBox(box.public_key).encrypt(data)
        assert run(page, "open", {"sealed": b64(by_python), "key": b64(bytes(box))}) == b64(data)
        changed = bytes([*by_python[:-1], by_python[-1] ^ 1])
        for bad in (changed, by_python[:40], b""):
            assert run(page, "open", {"sealed": b64(bad), "key": b64(bytes(box))}) == "not_for_this_key"


def offer_for(log: keylog.PolicyLog, host: str) -> Offer:
    home = identities.home(host, f"home-{host}")
    root = keylog.key_hash(identities.public(f"root-{host}"))
    return Offer("n-0123456789abcdefghij", log.scid, f"https://{host}", home, identities.public(f"user-{host}"), root)


def seed_of(name: str) -> bytes:
    return mnemonic.seed(mnemonic.words(hashlib.sha256(name.encode()).digest()))


def test_genesis_is_the_same_bytes(page: Page) -> None:
    box = identities.box("box-1")
    document = keylog.first_document(
        identities.home("alpha.example", "home-1"), user_key=identities.public("user-1"), custody="owner", box_key=box
    )
    log = keylog.genesis(
        document=document, key=identities.key("root-1"), next_keys=identities.commit("paper-1", "device-1"), now=NOW
    )
    key = {name: {"number": 1, "multikey": one.multikey} for name, one in (("user", document.user), ("home", document.home))}
    given = {
        "document": {
            **key, "box": {"number": 1, "multikey": box}, "did": document.did, "actor": document.actor,
            "acct": document.acct, "custody": "owner", "prior": [], "replicas": [], "archives": [],
        },
        "seed": b64(bytes(identities.key("root-1"))), "next": identities.commit("paper-1", "device-1"), "now": milliseconds(NOW),
    }  # fmt: skip
    assert run(page, "genesis", given) == log.data.decode()


def test_random_histories_of_owners_are_the_same_bytes(page: Page) -> None:
    """Keys pass to the owner; then the words rotate, recover and move, in any order, also where they may not."""
    done = {"rotate": 0, "recover": 0, "move": 0}
    for number in range(ROUNDS):
        chance = random.Random(SEED + number)
        mine, other = seed_of(f"mine {number}"), seed_of(f"other {number}")
        now = NOW + timedelta(days=1)
        log = identities.under_server()
        start = log.data.decode()
        user, box = keylog.multikey_of(mnemonic.user_key(mine, 0)), owner.box_multikey(mnemonic.box_key(mine))
        next_keys = [keylog.key_hash(owner.paper_multikey(mine, 0)), *identities.commit("custodian")]
        log = keylog.give_to_owner(log, user_key=user, box_key=box, key=identities.key("root-2"), next_keys=next_keys, now=now)
        steps: list[dict[str, Any]] = [
            {
                "do": "take", "userKey": user, "boxKey": box, "next": next_keys, "now": milliseconds(now),
                "seed": b64(bytes(identities.key("root-2"))),
            }
        ]  # fmt: skip
        expected: list[Any] = [[None, log.data.decode(), None]]
        for count in range(8):
            now += timedelta(seconds=chance.choice([0, 1, 90_000]))
            seed = other if chance.random() < 0.1 else mine
            verb = chance.choice(["rotate", "recover", "move", "move"])
            offer = offer_for(log, f"home{count}.example")
            if chance.random() < 0.1:
                offer = Offer(
                    offer.nonce,
                    identities.moved().scid[:-1] + "x",
                    offer.audience,
                    offer.home,
                    offer.user_key,
                    offer.root_key_hash,
                )
            recovery = chance.random() < 0.5
            steps.append(
                {
                    "do": verb,
                    "seed": b64(seed),
                    "now": milliseconds(now),
                    "offer": offer_document(offer),
                    "withRecovery": recovery,
                }
            )
            try:
                grant = None
                if verb == "move":
                    log, grant = owner.move(log, seed=seed, offer=offer, now=now, with_recovery=recovery)
                    hostgrant.check_host_grant(grant, log=log, audience=offer.audience, now=now)
                else:
                    log = getattr(owner, verb)(log, seed=seed, now=now)
                expected.append([None, log.data.decode(), grant])
                done[verb] += 1
            except (owner.NotTheseWords, owner.Conflict) as error:
                expected.append([{"not_these_words": "not_committed", "conflict": "wrong_identity"}[error.code], None, None])
        said = run(page, "changes", {"log": start, "now": milliseconds(now), "steps": steps})
        assert said == expected, number
        judged = keylog.verify_policy(said[-1][1].encode() if said[-1][1] else log.data, now=now, caps=keylog.SOFT)
        assert judged.custody == "owner"
    assert min(done.values()) >= ROUNDS


def test_the_golden_logs_are_judged_alike(page: Page) -> None:
    cases = [case for case in json.loads((VECTORS / "golden/identity/logs.json").read_text()) if case["judge"] == "policy"]
    # A witness file, a pin or a name that was asked for is not this function's to judge.
    plain = [case for case in cases if not {"witness", "pinned", "requested"} & case.keys() and not case.get("loopback")]
    assert len(plain) >= 40
    said = run(page, "verify", [[case["log"], milliseconds(canonical.parse_time(case["now"]))] for case in plain])
    wrong = []
    for case, verdict in zip(plain, said, strict=True):
        try:
            log = keylog.verify_policy(case["log"].encode(), now=canonical.parse_time(case["now"]), caps=keylog.HARD)
            keylog.read(log.head.entry.state)
            expected = log.head.entry.version_id
        except keylog.KeyLogError:
            expected = "bad_identity_log"
        if verdict != expected:
            wrong.append((case.get("name"), verdict, expected))
    assert wrong == []
