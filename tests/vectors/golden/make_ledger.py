"""Write the golden bytes and refusal vectors of the ledger's formats into ``ledger/`` beside this file.

Run in the project's root: python -m tests.vectors.golden.make_ledger
Keys and times are fixed (tests/payouts/ledger_world.py), so the same bytes come out every time; tests/pure/test_ledger_golden.py
checks that they do. The compressed bytes of a statement may differ with another zlib; the text in them may not.

Every file is {"format", "good": [...], "bad": [...]}; each bad case names the ``error`` it must give. What a case holds is said in
the functions below and in docs/reference/ledger-format.md, statement-format.md and agreement-format.md.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from payouts import offers
from payouts.agreement import agreement_id
from payouts.algorithms import find
from payouts.ledger import canonical, container
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.accounts_root import AccountLeaf, AccountsTree, Run
from payouts.ledger.checkpoint import Checkpoint, cosign, sign_checkpoint
from payouts.ledger.entries import Draft, write_batch
from payouts.ledger.fields import to_base64
from payouts.ledger.fork import prove_fork
from payouts.ledger.growth import EMPTY, grow
from payouts.ledger.merkle import hashes, nodes_of
from payouts.ledger.multikey import multikey
from payouts.ledger.note import COSIGNATURE, ED25519, Signer, add_signatures
from payouts.ledger.ranges import prove_range
from payouts.ledger.report import as_json
from payouts.ledger.rotation import rotation_body
from payouts.ledger.statement import MARKS_MAX, assemble
from payouts.ledger.tiles import TreeReader
from payouts.ledger.verdict import verify
from payouts.splits import share_period
from tests.payouts.ledger_world import (
    NOW,
    UNIT,
    WITNESSED_AT,
    Log,
    accepted,
    alices_statement,
    alpha,
    alpha_log,
    beta,
    beta_log,
    digest,
    draft_id,
    logs_keys,
    offer,
    outside,
    person,
    seed,
    statement_of,
)

HERE = Path(__file__).parent / "ledger"
Change = Callable[[Any], object]
LOG = alpha_log()
ALICE, BOB, CHARLIE = person("alice"), person("bob"), person("charlie")


def put(*path: Any) -> Change:
    """A change that puts the last value at the path before it."""
    *names, last, value = path

    def change(document: Any) -> None:
        for name in names:
            document = document[name]
        document[last] = value

    return change


def drop(*path: Any) -> Change:
    """A change that takes the member at the path away."""

    def change(document: Any) -> None:
        for name in path[:-1]:
            document = document[name]
        del document[path[-1]]

    return change


def first(type_name: str) -> Any:
    return next(entry for entry in LOG.entries if entry.type == type_name)


# Entries: {"text"} or, where it is no text, {"base64"}; good ones with their "leaf".


def entries() -> dict[str, Any]:
    meter = {
        "period": "2026-11", "works": digest("w"), "views_root": digest("v"), "qualified": 5, "impressions": 2, "sessions": 1,
        "rejected": [["bot", 3], ["self", 1]],
    }  # fmt: skip
    more = [
        Draft("meter", draft_id("meter"), meter, {}),
        Draft("identity", draft_id("identity"), {"scid": ALICE.scid, "version": ALICE.log.version_ids[0]}, {}),
        Draft("key.rotate", draft_id("rotate"), rotation_body(alpha.origin, root_seed=alpha.root_seed, old=alpha.ledger, new=Signer(alpha.origin, ED25519, seed("alpha 2"))), {}),
        Draft("shutdown", draft_id("shutdown"), {"reason": "Wir schließen.", "until": "2027-01-31T00:00:00Z"}, {}),
    ]  # fmt: skip
    written = write_batch(more, origin=alpha.origin, first_index=LOG.edge.size, at="2026-12-01T11:00:00Z", heads={}).entries
    good = [
        {"name": f"{entry.index} {entry.type}", "text": entry.data.decode(), "leaf": entry.leaf.hex()}
        for entry in (*LOG.entries, *written)
    ]

    accrual, hold = first("accrue"), first("hold")
    dora = "Qm" + "1" * 44
    changes: list[tuple[str, Any, Change, str]] = [
        ("a member is missing", accrual, drop("id"), "missing_member"),
        ("a member nobody knows", accrual, put("note", "hello"), "unknown_member"),
        ("another version", accrual, put("v", 2), "unknown_version"),
        ("true is not 1", accrual, put("v", True), "unknown_version"),
        ("an origin in capitals", accrual, put("origin", "Alpha.example/ledger/1"), "bad_origin"),
        ("an origin without ledger", accrual, put("origin", "alpha.example"), "bad_origin"),
        ("an index below zero", accrual, put("index", -1), "bad_index"),
        ("an index as text", accrual, put("index", "6"), "bad_index"),
        ("an unknown type", accrual, put("type", "gift"), "unknown_type"),
        ("a body member is missing", accrual, drop("body", "lines"), "missing_member"),
        ("a body member nobody knows", accrual, put("body", "tip", "1"), "unknown_member"),
        ("a body member of another form", accrual, put("body", "lines", "x"), "bad_body"),
        ("an amount below zero in a body", accrual, put("body", "amount", "-5"), "bad_body"),
        ("agreements that are not sorted", accrual, put("body", "agreements", [digest("b"), digest("a")][:: 1 if digest("b") > digest("a") else -1]), "bad_body"),
        ("no agreements", accrual, put("body", "agreements", []), "bad_body"),
        ("a batch of nothing", accrual, put("body", "batch", 0), "bad_body"),
        ("the 31st of November", accrual, put("at", "2026-11-31T00:00:00Z"), "bad_time"),
        ("a time with an offset", accrual, put("at", "2026-11-30T00:00:00+00:00"), "bad_time"),
        ("an id in capitals", accrual, put("id", "A" * 32), "bad_entry_id"),
        ("a posting of nothing", accrual, put("postings", 0, 1, "0"), "bad_posting"),
        ("a posting with a number", accrual, put("postings", 0, 1, 5), "bad_posting"),
        ("an amount with a leading zero", accrual, put("postings", 0, 1, "05"), "bad_amount"),
        ("an amount of 19 digits", accrual, put("postings", 0, 1, "1" * 19), "bad_amount"),
        ("an account without currency", accrual, put("postings", 0, 0, "L:ops"), "bad_account"),
        ("an account of an unknown kind", accrual, put("postings", 0, 0, "L:loot#EUR/6"), "unknown_account"),
        ("an account that this type must not touch", accrual, put("postings", 0, 0, "A:cash:bank#EUR/6"), "posting_not_allowed"),
        ("postings that are not sorted", accrual, lambda d: d["postings"].reverse(), "postings_unsorted"),
        ("an account named twice", accrual, lambda d: d["postings"].insert(0, d["postings"][0]), "postings_unsorted"),
        ("postings that do not sum to zero", accrual, put("postings", 0, 1, "-1"), "postings_unbalanced"),
        ("a body that says less than the postings", accrual, put("body", "amount", "1"), "amount_mismatch"),
        ("a body about somebody else", accrual, put("body", "scid", dora), "amount_mismatch"),
        ("a hold that moves less than it says", hold, put("body", "amount", "6999999"), "amount_mismatch"),
        ("no link for the account", accrual, put("accounts", []), "account_link_missing"),
        ("a link for an account that is not touched", accrual, lambda d: d["accounts"].append({**d["accounts"][0], "currency": "USD"}), "account_link_unexpected"),
        ("a link twice", accrual, lambda d: d["accounts"].append(d["accounts"][0]), "accounts_unsorted"),
        ("a link without seq", accrual, drop("accounts", 0, "seq"), "missing_member"),
        ("seq 0", accrual, put("accounts", 0, "seq", 0), "bad_member"),
        ("seq 2 after 64 zeros", accrual, put("accounts", 0, "seq", 2), "account_chain_broken"),
        ("a balance below zero", accrual, put("accounts", 0, "balance_after", "-1"), "account_overdrawn"),
        ("a step of a payout without its link", first("payout.sent"), put("accounts", []), "account_link_missing"),
    ]  # fmt: skip
    bad = [
        {"name": name, "text": _changed(entry.data, change).decode(), "error": error} for name, entry, change, error in changes
    ]
    text = accrual.data.decode()
    bad += [
        {"name": "a space", "text": text.replace('","', '", "', 1), "error": "not_canonical"},
        {"name": "a newline behind it", "text": text + "\n", "error": "not_json"},
        {"name": "members in another order", "text": '{"v":1,' + text[1:].replace(',"v":1', ""), "error": "not_canonical"},
        {"name": "a letter as escape", "text": text.replace('"accrue"', '"accru\\u0065"'), "error": "not_canonical"},
        {"name": "a member twice", "text": text[:-1] + ',"v":1}', "error": "duplicate_key"},
        {"name": "a fraction", "text": text.replace('"v":1', '"v":1.0'), "error": "float_refused"},
        {"name": "an integer beyond 2^53 - 1", "text": text.replace('"index":6', '"index":9007199254740992'), "error": "integer_too_large"},
        {"name": "a member name that is not ASCII", "text": text[:-1] + ',"é":1}', "error": "non_ascii_key"},
        {"name": "a text that is not NFC", "text": text.replace('"id":"', '"id":"e\u0301'), "error": "not_nfc"},
        {"name": "seven levels", "text": text.replace('"agreements":[', '"agreements":[[[[[[]]]]],'), "error": "too_deep"},
        {"name": "half a surrogate pair", "text": text.replace('"id":"', '"id":"\\ud800'), "error": "not_utf8"},
        {"name": "more than 4 KiB", "text": text + " " * 4096, "error": "entry_too_large"},
        {"name": "nothing", "text": "", "error": "not_json"},
        {"name": "bytes that are not UTF-8", "base64": to_base64(accrual.data[:-2] + b"\xff}"), "error": "not_utf8"},
    ]  # fmt: skip
    return {"format": "entry", "good": good, "bad": bad}


def _changed(data: bytes, change: Change) -> bytes:
    document = json.loads(data)
    change(document)
    return canonical.encode(document)


# Account chains: {"scid", "entries": [text of every entry, in order, that touches the identity]}; good ones with "heads".


def account_chains() -> dict[str, Any]:
    def case(name: str, texts: list[str], **more: Any) -> dict[str, Any]:
        return {"name": name, "origin": alpha.origin, "scid": ALICE.scid, "entries": texts, **more}

    own = [entry.data.decode() for entry in LOG.entries if any(link.scid == ALICE.scid for link in entry.links)]
    heads = {
        currency: {
            "seq": head.seq,
            "leaf": head.leaf,
            "balance": str(head.balance),
            "held": str(head.held),
            "unclaimed": str(head.unclaimed),
        }
        for (scid, currency), head in sorted(LOG.heads.items())
        if scid == ALICE.scid
    }
    bad: list[dict[str, Any]] = []
    for place in range(len(own)):
        rest = own[:place] + own[place + 1 :]
        if any(
            json.loads(text)["accounts"][0]["currency"] == json.loads(own[place])["accounts"][0]["currency"]
            for text in own[place + 1 :]
        ):
            bad.append(case(f"entry {place} left out", rest, error="account_sequence_broken"))
    swapped = [own[0], own[2], own[1], *own[3:]]
    bad.append(case("two entries swapped", swapped, error="account_sequence_broken"))
    changes: list[tuple[str, int, Change, str]] = [
        ("an entry that is not the one the next one names", 1, put("id", "0" * 32), "account_chain_broken"),
        ("prev of another entry", 2, put("accounts", 0, "prev", digest("x")), "account_chain_broken"),
        ("a balance one too high", 1, put("accounts", 0, "balance_after", str(int(json.loads(own[1])["accounts"][0]["balance_after"]) + 1)), "account_balance_wrong"),
        ("a held balance one too low", 1, put("accounts", 0, "held_after", "6999999"), "account_balance_wrong"),
    ]  # fmt: skip
    for name, place, change, error in changes:
        texts = list(own)
        texts[place] = _changed(own[place].encode(), change).decode()
        bad.append(case(name, texts, error=error))
    return {"format": "account chain", "good": [case("alice on alpha", own, heads=heads)], "bad": bad}


# Accounts roots: {"root", "count", "scid", "run": {"index", "leaves", "proof"}}; good ones with all "accounts" of the tree and "blob".


def accounts_roots() -> dict[str, Any]:
    names = ("alice", "bob", "charlie", "dora", "erin")
    leaves = [
        AccountLeaf(person(name).scid, currency, 3, 5_000_000 * place, place)
        for place, name in enumerate(names)
        for currency in ("EUR", "USD")
    ]
    tree = AccountsTree(leaves)
    body = tree.body()
    nodes = nodes_of(hashes(leaf.data() for leaf in tree.leaves))

    def case(name: str, scid: str, run: Run, **more: Any) -> dict[str, Any]:
        document = {
            "index": run.index,
            "leaves": [leaf.document() for leaf in run.leaves],
            "proof": [to_base64(one) for one in run.proof],
        }
        return {"name": name, "root": body["root"], "count": body["count"], "scid": scid, "run": document, **more}

    def cut(low: int, high: int) -> Run:
        return Run(low, tuple(tree.leaves[low:high]), prove_range(nodes, low, high, len(tree.leaves)))

    accounts = [leaf.document() for leaf in tree.leaves]
    scids = sorted({leaf.scid for leaf in tree.leaves})
    good = [
        case(f"the accounts of identity {place}", scid, tree.run(scid), accounts=accounts, blob=body["blob"])
        for place, scid in enumerate(scids)
    ]
    middle = tree.run(scids[2])
    richer = (middle.leaves[0], middle.leaves[1]._replace(balance=middle.leaves[1].balance + 1), *middle.leaves[2:])
    bad = [
        case("no leaf before", scids[2], cut(4, 7), error="account_run_incomplete"),
        case("no leaf behind", scids[2], cut(3, 6), error="account_run_incomplete"),
        case("one account left out", scids[2], cut(3, 5), error="account_run_incomplete"),
        case("two leaves before", scids[2], cut(2, 7), error="wrong_scid"),
        case("leaves of others only", scids[2], cut(0, 3), error="account_leaf_missing"),
        case("no leaves", scids[2], Run(0, (), ()), error="account_leaf_missing"),
        case("another balance", scids[2], Run(middle.index, richer, middle.proof), error="root_mismatch"),
        case("another place", scids[2], Run(middle.index + 1, middle.leaves, middle.proof), error="proof_too_long"),
        case("beyond the tree", scids[2], Run(8, middle.leaves, middle.proof), error="bad_tree_size"),
        case(
            "leaves in another order",
            scids[2],
            Run(middle.index, tuple(reversed(middle.leaves)), middle.proof),
            error="accounts_tree_unsorted",
        ),
        case("a hash too few", scids[2], Run(middle.index, middle.leaves, middle.proof[:-1]), error="proof_too_short"),
        case(
            "a hash too many",
            scids[2],
            Run(middle.index, middle.leaves, (*middle.proof, middle.proof[0])),
            error="proof_too_long",
        ),
        case(
            "the proof of another tree",
            scids[2],
            Run(middle.index, middle.leaves, tuple(reversed(middle.proof))),
            error="root_mismatch",
        ),
    ]
    return {"format": "accounts root", "good": good, "bad": bad}


# Checkpoints: {"note", "origin", "log_keys", "cosigners"}, only known signatures; good ones with "size", "root", "signatures".


def checkpoints() -> dict[str, Any]:
    head = Checkpoint(alpha.origin, LOG.edge.size, LOG.edge.root())
    plain = sign_checkpoint(head, alpha.ledger)
    cosigned = add_signatures(plain, [cosign(head, beta.witness, WITNESSED_AT), cosign(head, outside, WITNESSED_AT + 1)])

    def case(name: str, note: bytes, **more: Any) -> dict[str, Any]:
        keys = {"log_keys": [str(alpha.ledger.verifier)], "cosigners": [str(beta.witness.verifier), str(outside.verifier)]}
        return {"name": name, "note": note.decode(), "origin": alpha.origin, **keys, **more}

    said = {"size": head.size, "root": head.root.hex()}
    signatures = [
        {"name": alpha.origin, "timestamp": 0},
        {"name": beta.witness.name, "timestamp": WITNESSED_AT},
        {"name": outside.name, "timestamp": WITNESSED_AT + 1},
    ]
    good = [
        case("signed by the log alone", plain, **said, signatures=signatures[:1]),
        case("cosigned by two", cosigned, **said, signatures=signatures),
    ]
    stranger = Signer("stranger.example/witness/1", COSIGNATURE, seed("stranger"))
    late = cosign(head, beta.witness, 2**63)
    text = cosigned.decode()
    own = plain.decode().splitlines()[-1]
    twin = Signer(alpha.origin, ED25519, seed("twin"))
    unknown = case("a key nobody registered", plain)
    unknown["log_keys"] = ["alpha.example/ledger/1+00000000+" + str(alpha.ledger.verifier).split("+", 2)[2]]
    small = case("a key of small order", plain)
    small["log_keys"] = [
        f"alpha.example/ledger/1+{sha256(b'alpha.example/ledger/1' + bytes([10, 1]) + bytes(32)).hexdigest()[:8]}+{to_base64(bytes([1]) + bytes(32))}"
    ]
    bad = [
        case("another size", text.replace(f"\n{head.size}\n", f"\n{head.size + 1}\n").encode(), error="bad_signature"),
        case("another time of a cosignature", text.replace(_b64_of(text, 2)[6:14], "AAAAAAAA").encode(), error="bad_signature"),
        case("a cosignature from beyond 2^63 - 1", add_signatures(plain, [late]), error="bad_signature"),
        case("a signature of a key that is not named", add_signatures(plain, [cosign(head, stranger, WITNESSED_AT)]), error="unknown_signature"),
        case("another key under the same name", sign_checkpoint(head, twin), error="unknown_signature"),
        case("a signature twice", add_signatures(plain, [own]), error="duplicate_signature"),
        case("cosigned, but not signed by the log", add_signatures(head.text().encode() + b"\n", [cosign(head, outside, WITNESSED_AT)]), error="no_known_signature"),
        case("the checkpoint of another log", sign_checkpoint(Checkpoint(beta.origin, 5, head.root), alpha.ledger), error="wrong_origin"),
        case("a size with a leading zero", _signed(f"{alpha.origin}\n023\n{to_base64(head.root)}\n"), error="malformed_checkpoint"),
        case("a root of 31 bytes", _signed(f"{alpha.origin}\n23\n{to_base64(bytes(31))}\n"), error="malformed_checkpoint"),
        case("two lines", _signed(f"{alpha.origin}\n23\n"), error="malformed_checkpoint"),
        case("no signature", plain.split(b"\xe2\x80\x94")[0], error="malformed_note"),
        case("no newline at the end", plain[:-1], error="malformed_note"),
        case("a carriage return", plain.replace(b"\n", b"\r\n", 1), error="malformed_note"),
        {**unknown, "error": "bad_key"},
        {**small, "error": "bad_key"},
    ]  # fmt: skip
    return {"format": "checkpoint", "good": good, "bad": bad}


def _b64_of(note: str, line: int) -> str:
    return note.splitlines()[3 + line].rpartition(" ")[2]


def _signed(text: str) -> bytes:
    from payouts.ledger.note import sign_note

    return sign_note(text, alpha.ledger)


# Agreements: {"text", "keys": {verification method: Multikey}}; good ones with "id" and the parties that stay "unchecked".


def agreements() -> dict[str, Any]:
    keys = {
        f"{alpha.actor}#instance-1": multikey(bytes(alpha.instance_key.verify_key), "ed25519"),
        ALICE.method: multikey(bytes(ALICE.user_key.verify_key), "ed25519"),
    }
    own, terms = json.loads(accepted("alice").data), json.loads(offer("alpha.example").data)

    def case(name: str, document: Any, known: dict[str, str] = keys, **more: Any) -> dict[str, Any]:
        return {"name": name, "text": canonical.encode(document).decode(), "keys": known, **more}

    def again(change: Change, base: Any = own, *, signed: bool = False) -> Any:
        document = json.loads(json.dumps(base))
        change(document)
        document["id"] = agreement_id(document)
        if signed:
            document["proof"] = []
            document = offers.sign(document, key=ALICE.user_key, verification_method=ALICE.method, created=NOW)
            document = offers.sign(document, key=alpha.instance_key, verification_method=f"{alpha.actor}#instance-1", created=NOW)
        return document

    def shares_of(table: str, number: int, share: int) -> Change:
        return put("shares", table, number, "share_millionths", share)

    only_instance = dict(list(keys.items())[:1])
    good = [
        case("the default offer", terms, id=terms["id"], unchecked=[]),
        case("accepted by alice", own, id=own["id"], unchecked=[]),
        case("accepted by somebody whose log the reader has not", own, only_instance, id=own["id"], unchecked=[ALICE.scid]),
    ]
    changes: list[tuple[str, Any, str]] = [
        ("shares that sum to more", again(shares_of("contextual", 0, 650_001), signed=True), "shares_do_not_sum"),
        ("shares that sum to less", again(shares_of("personal", 0, 549_999), signed=True), "shares_do_not_sum"),
        ("a share of nothing", again(shares_of("contextual", 0, 0), signed=True), "bad_agreement"),
        ("a share as text", again(put("shares", "contextual", 0, "share_millionths", "650000"), signed=True), "bad_agreement"),
        ("a share for somebody who is no party", again(put("shares", "contextual", 0, "to", BOB.scid), signed=True), "bad_agreement"),
        ("creator in an agreement that names her", again(put("shares", "contextual", 0, "to", "creator"), signed=True), "bad_agreement"),
        ("nothing for a creator", again(put("shares", "contextual", [{"to": "operating", "share_millionths": 1_000_000}]), signed=True), "bad_agreement"),
        ("receivers that are not sorted", again(lambda d: d["shares"]["contextual"].reverse(), signed=True), "bad_agreement"),
        ("a table is missing", again(drop("shares", "personal"), signed=True), "missing_member"),
        ("a member nobody knows", again(put("bonus", 1), signed=True), "unknown_member"),
        ("another version", again(put("v", 2), signed=True), "unknown_version"),
        ("an unknown kind", again(put("kind", "loan"), signed=True), "bad_agreement"),
        ("a channel that is no party", again(put("scope", BOB.scid), signed=True), "bad_agreement"),
        ("a default offer with a party", again(put("parties", own["parties"]), terms), "bad_agreement"),
        ("custody that is not said", again(put("parties", 0, "custody", "bank"), signed=True), "bad_agreement"),
        ("in force before it was made", again(put("effective_from", "2026-10-31T00:00:00Z"), signed=True), "bad_agreement"),
        ("a notice of 29 days", again(put("notice_days", 29), signed=True), "bad_agreement"),
        ("an order of losses that is not complete", again(put("losses", ["operating"]), signed=True), "bad_agreement"),
        ("holds that are not sorted", again(lambda d: d["holds"].reverse(), signed=True), "bad_agreement"),
        ("another text under the same id", {**own, "notice_days": 31}, "bad_agreement_id"),
        ("another text under its own id", again(put("notice_days", 31)), "bad_signature"),
        ("not signed by anyone", {**own, "proof": []}, "agreement_unsigned"),
        ("not signed by the instance", {**own, "proof": own["proof"][:1]}, "agreement_unsigned"),
        ("not signed by the creator", {**own, "proof": own["proof"][1:]}, "agreement_unsigned"),
        ("proofs that are not sorted", {**own, "proof": own["proof"][::-1]}, "agreement_proof_unexpected"),
        ("a proof twice", {**own, "proof": [own["proof"][0], *own["proof"]]}, "agreement_proof_unexpected"),
        ("a proof of somebody else", {**own, "proof": [{**own["proof"][0], "verificationMethod": BOB.method}, own["proof"][1]]}, "agreement_proof_unexpected"),
        ("a proof by no key of anybody", {**own, "proof": [{**own["proof"][0], "verificationMethod": "did:key:z6Mk"}, own["proof"][1]]}, "agreement_proof_unexpected"),
        ("a proof that expires", {**own, "proof": [{**own["proof"][0], "expires": "2027-01-01T00:00:00Z"}, own["proof"][1]]}, "bad_signature"),
        ("a proof of another time", {**own, "proof": [{**own["proof"][0], "created": "2026-11-01T12:00:01Z"}, own["proof"][1]]}, "bad_signature"),
        ("the other party's signature", {**own, "proof": [{**own["proof"][0], "proofValue": own["proof"][1]["proofValue"]}, own["proof"][1]]}, "bad_signature"),
    ]  # fmt: skip
    bad = [case(name, document, error=error) for name, document, error in changes]
    bad.append(
        case(
            "signed by an instance that the reader does not know",
            own,
            {ALICE.method: keys[ALICE.method]},
            error="agreement_unsigned",
        )
    )
    return {"format": "agreement", "good": good, "bad": bad}


# Statements: {"base64": the file} and, where the reader has one, her "policy"; good ones with the "verdict" of --json.


def statements() -> dict[str, Any]:
    alices = alices_statement()
    unwitnessed = statement_of(ALICE.scid, ALICE.lines, beta_log())
    policy = f"log {alpha.ledger.verifier}\nlog {beta.ledger.verifier}\nwitness w {outside.verifier}\nquorum w\n"
    rotated = _rotated_log()

    def case(name: str, data: bytes, **more: Any) -> dict[str, Any]:
        return {"name": name, "base64": b64encode(data).decode(), **more}

    good = []
    for name, data, own in (
        ("two debtors, two currencies, paid, held, unclaimed", alices, None),
        ("the same, by the policy of the reader", alices, policy),
        ("unwitnessed", unwitnessed, None),
        ("the ledger key has been rotated", _of(rotated), None),
    ):
        from payouts.ledger.policy import parse_policy

        reader = parse_policy(own.encode()) if own else None
        verdict = verify(data, verify_log=verify_identity_log, check_agreement=check_agreement, policy=reader)
        good.append(case(name, data, **({"policy": own} if own else {}), verdict=as_json(verdict, own_policy=bool(own))))

    def changed(change: Change, data: bytes = alices) -> bytes:
        return container.pack(_changed(container.unpack(data), change))

    def debtor(change: Change) -> Change:
        return lambda document: change(document["debtors"][0])

    flipped = bytearray(alices)
    flipped[len(flipped) // 2] ^= 1
    # Of every kind alike: a verifier that forgets one says otherwise.
    marks = b'",[{' * (MARKS_MAX // 4)
    rooted = bytearray(alices)
    rooted[9] = 3  # the system that packed it, a byte that gzip tools ignore
    bad = [
        case("a bit flipped in the compressed bytes", bytes(flipped), error="statement_damaged"),
        case("a byte of the gzip header that nobody reads", bytes(rooted), error="statement_damaged"),
        case("packed by another gzip", _plain_gzip(container.unpack(alices)), error="statement_damaged"),
        case("three million marks", container.pack(marks), error="not_json"),
        case("three million marks and one", container.pack(marks + b","), error="too_large"),
        case("not canonical", container.pack(container.unpack(alices).replace(b'","', b'", "', 1)), error="not_canonical"),
        case("a member nobody knows", changed(put("note", "")), error="unknown_member"),
        case("another version", changed(put("v", 2)), error="unknown_version"),
        case("without its account leaf", changed(debtor(drop("account_leaf"))), error="account_leaf_missing"),
        case("with an empty account leaf", changed(debtor(put("account_leaf", "leaves", []))), error="account_leaf_missing"),
        case("a leaf with another balance", changed(debtor(put("account_leaf", "leaves", 0, "balance", "32725807"))), error="root_mismatch"),
        case("for somebody else", changed(put("scid", BOB.scid)), error="wrong_scid"),
        case("with the identity log of somebody else", changed(put("identity", [line.decode() for line in BOB.lines])), error="wrong_scid"),
        case("an identity log with a changed line", changed(lambda d: d["identity"].__setitem__(0, d["identity"][0].replace("users/alice", "users/alicf"))), error="bad_identity_log"),
        case("debtors that are not sorted", changed(lambda d: d["debtors"].reverse()), error="malformed_statement"),
        case("no debtors", changed(put("debtors", [])), error="malformed_statement"),
        case("ranges that are not sorted", changed(debtor(lambda d: d["ranges"].reverse())), error="ranges_unsorted"),
        case("a range cut in two", changed(debtor(_cut_range)), error="ranges_unsorted"),
        case("another policy", changed(put("policy", "quorum none\n")), error="unknown_signature"),
        case("a policy that says less than was signed", changed(lambda d: d.update(policy=d["policy"].replace("witnesses 2", "witnesses 1"))), error="policy_not_exact"),
        case("a checkpoint of another size", changed(debtor(lambda d: d.update(checkpoint=d["checkpoint"].replace("\n23\n", "\n24\n")))), error="bad_signature"),
        case("without the agreements", changed(debtor(put("agreements", []))), error="agreement_missing"),
        case("with an agreement that nothing rests on", changed(debtor(lambda d: d["agreements"].append(to_base64(offer("alpha.example").data)))), error="agreement_unused"),
        case("a range proof with a hash too many", changed(debtor(lambda d: d["ranges"][0]["proof"].append(to_base64(bytes(32))))), error="proof_too_long"),
        case("a changed entry", changed(debtor(_change_entry)), error="root_mismatch"),
        case("the first entry of an account left out", _of(LOG, left_out=[next(entry.index for entry in LOG.entries if entry.link((ALICE.scid, "EUR")))]), error="account_sequence_broken"),
        case("the last entry of an account left out", _of(LOG, left_out=[16]), error="statement_incomplete"),
        case("a currency left out", _of(LOG, left_out=[entry.index for entry in LOG.entries if entry.link((ALICE.scid, "USD"))]), error="statement_incomplete"),
        case("the accounts root left out", _of(LOG, left_out=[22]), error="account_leaf_missing"),
        case("an entry that says nothing about her", _of(LOG, also=[5]), error="foreign_entry"),
        case("entries that are newer than the leaf", _of(_stale_log()), error="account_leaf_stale"),
        case("signed by the key before the rotation", _of(_rotated_log(old_key=True)), error="unknown_signature"),
        case("a log that the reader does not trust", alices, policy=policy.replace(f"log {beta.ledger.verifier}\n", ""), error="log_not_trusted"),
        case("a quorum that is not met", unwitnessed, policy=policy, error="quorum_not_met"),
        case("a quorum of the debtor's own witness", statement_of(ALICE.scid, ALICE.lines, beta_log(), witnesses=[(beta.witness, WITNESSED_AT)]), policy=f"witness w {beta.witness.verifier}\nquorum w\n", error="quorum_not_met"),
    ]  # fmt: skip
    return {"format": "statement", "good": good, "bad": bad}


def _plain_gzip(text: bytes) -> bytes:
    import gzip

    return gzip.compress(text, mtime=0)


def _cut_range(debtor: Any) -> None:
    one = next(one for one in debtor["ranges"] if len(one["entries"]) > 1)
    at = debtor["ranges"].index(one)
    rest = {"start": one["start"] + 1, "entries": one["entries"][1:], "proof": one["proof"]}
    debtor["ranges"][at : at + 1] = [{**one, "entries": one["entries"][:1]}, rest]


def _change_entry(debtor: Any) -> None:
    data = _changed(b64decode(debtor["ranges"][0]["entries"][0]), put("id", "0" * 32))
    debtor["ranges"][0]["entries"][0] = to_base64(data)


def _of(log: Log, *, left_out: list[int] | None = None, also: list[int] | None = None) -> bytes:
    """Alice's statement of one debtor who shows other entries of his log than he should."""
    signed = log.checkpoint([(outside, WITNESSED_AT)])
    whole = log.part(ALICE.scid, signed)
    shown = {one["start"] + place: b64decode(text) for one in whole["ranges"] for place, text in enumerate(one["entries"])}
    entries = {index: data for index, data in shown.items() if index not in (left_out or [])}
    entries |= {index: log.entries[index].data for index in also or []}
    part = log.part(ALICE.scid, signed, entries=entries)
    return assemble(scid=ALICE.scid, identity=ALICE.lines, parts=[part], logs=logs_keys(log), signed=[signed])


def _beta_month() -> Log:
    log, own = Log(beta), accepted("alice", "beta.example")
    log.agree("2026-11-01T12:00:01Z", offer("beta.example"), own)
    log.fund("2026-11-02T09:00:00Z", 2 * UNIT)
    log.close("2026-12-01T09:00:00Z", 2 * UNIT, [(ALICE.scid, own.id, 1)])
    return log


def _stale_log() -> Log:
    log = _beta_month()
    log.commit_accounts("2026-12-01T10:00:00Z")
    log.hold("2026-12-02T09:00:00Z", ALICE.scid, 5)
    return log


def _rotated_log(*, old_key: bool = False) -> Log:
    log = _beta_month()
    new = Signer(beta.origin, ED25519, seed("beta ledger 2"))
    body = rotation_body(beta.origin, root_seed=beta.root_seed, old=beta.ledger, new=new)
    log.append("2026-12-01T09:30:00Z", Draft("key.rotate", draft_id("rotate"), body, {}))
    log.commit_accounts("2026-12-01T10:00:00Z")
    if not old_key:
        log.signer = new
    return log


# Fork proofs: {"text", "keys": [vkey]}; good ones with "sizes".


def forks() -> dict[str, Any]:
    honest = [f"entry {number}".encode() for number in range(50)]
    twisted = [*honest[:36], b"another entry 36"]

    def signed(entries: list[bytes]) -> Any:
        from payouts.ledger.checkpoint import open_checkpoint

        head = Checkpoint(alpha.origin, len(entries), grow(EMPTY, entries).edge.root())
        return open_checkpoint(sign_checkpoint(head, alpha.ledger), origin=alpha.origin, log_keys=[alpha.ledger.verifier])

    from tests.payouts.ledger_world import MemoryTiles

    nodes = TreeReader(MemoryTiles(grow(EMPTY, honest).files), 50)
    two_sizes = json.loads(prove_fork(signed(twisted), signed(honest), nodes))
    one_size = json.loads(prove_fork(signed(twisted), signed(honest[:37]), None))

    def case(name: str, document: Any, **more: Any) -> dict[str, Any]:
        return {"name": name, "text": canonical.encode(document).decode(), "keys": [str(alpha.ledger.verifier)], **more}

    good = [case("at two sizes", two_sizes, sizes=[37, 50]), case("at one size", one_size, sizes=[37, 37])]
    bad = [
        case("the same checkpoint twice", {**one_size, "older": one_size["newer"]}, error="not_a_fork"),
        case(
            "a larger tree that begins with the smaller one",
            {**two_sizes, "older": signed(honest[:37]).data.decode()},
            error="not_a_fork",
        ),
        case("a hash too few", {**two_sizes, "path": two_sizes["path"][:-1]}, error="not_a_fork"),
        case("hashes in another order", {**two_sizes, "path": two_sizes["path"][::-1]}, error="not_a_fork"),
        case("a path where none belongs", {**one_size, "path": two_sizes["path"]}, error="not_a_fork"),
        case("the larger one first", {**two_sizes, "older": two_sizes["newer"], "newer": two_sizes["older"]}, error="not_a_fork"),
        case("of another log", {**two_sizes, "origin": beta.origin}, error="wrong_origin"),
        case("a changed root", {**two_sizes, "newer": two_sizes["newer"].replace("\n50\n", "\n51\n")}, error="bad_signature"),
        case("of another type", {**two_sizes, "type": "spoon"}, error="bad_member"),
        {
            **case("by a key that the reader does not know", two_sizes),
            "keys": [str(beta.ledger.verifier)],
            "error": "no_known_signature",
        },
    ]
    return {"format": "fork", "good": good, "bad": bad}


# Settlements: {"inputs"} with their "outputs" and "outputs_root", or with their "error". Normative for the frozen function.


def settlements() -> dict[str, Any]:
    scids = sorted(one.scid for one in (ALICE, BOB, CHARLIE))
    default = {"parties": [], "shares": {table: dict(rows) for table, rows in offers.DEFAULT_SHARES.items()}}
    duet = {
        "parties": scids[:2],
        "shares": {
            table: {scids[0]: 333_333, scids[1]: 333_334, "operating": 200_000, "reserve": 133_333}
            for table in offers.DEFAULT_SHARES
        },
    }
    base: dict[str, Any] = {
        "period": "2026-11", "currency": "EUR", "pool": "ads",
        "campaigns": [{"campaign": "spring", "amount": "100000000"}, {"campaign": "autumn", "amount": "7"}],
        "impressions": [
            {"campaign": "spring", "work": "w1", "table": "contextual", "count": 700},
            {"campaign": "spring", "work": "w2", "table": "personal", "count": 299},
            {"campaign": "spring", "work": "", "table": "contextual", "count": 1},
            {"campaign": "autumn", "work": "w3", "table": "contextual", "count": 3},
            {"campaign": "autumn", "work": "w2", "table": "contextual", "count": 3},
        ],
        "works": [
            {"work": "w1", "creator": scids[0], "agreement": "duet", "weight_ms": 90_000},
            {"work": "w2", "creator": scids[1], "agreement": "default", "weight_ms": 30_001},
            {"work": "w3", "creator": scids[2], "agreement": "default", "weight_ms": 0},
            {"work": "w4", "creator": "", "agreement": "default", "weight_ms": 10_000},
        ],
        "agreements": {"default": default, "duet": duet},
        "operating_cost": "5000000", "carry": "11",
    }  # fmt: skip
    variants: list[tuple[str, dict[str, Any]]] = [
        ("a month with everything in it", {}),
        ("no cost: the operating share goes back", {"operating_cost": "0"}),
        ("a cost beyond the cap", {"operating_cost": "999999999"}),
        ("nobody watched: the loose money is carried", {"impressions": [], "works": [{**work, "weight_ms": 0} for work in base["works"]]}),
        ("no works", {"impressions": [], "works": []}),
        ("no money", {"campaigns": [], "impressions": [], "carry": "0"}),
        ("no creator has a SCID", {"works": [{**work, "creator": "", "agreement": "default"} for work in base["works"]]}),
        ("one millionth among three", {"campaigns": [{"campaign": "spring", "amount": "1"}], "impressions": [], "carry": "0", "works": [{**work, "agreement": "default", "weight_ms": 1} for work in base["works"][:3]]}),
    ]  # fmt: skip
    algorithm = find("ad-impression/1")
    good = []
    for name, change in variants:
        inputs = {**base, **change}
        good.append(
            {
                "name": name,
                "inputs": inputs,
                "outputs": algorithm.settle(inputs),
                "outputs_root": share_period(inputs, algorithm).outputs_root,
            }
        )
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("an amount as number", {"carry": 11}),
        ("an amount below zero", {"operating_cost": "-1"}),
        ("a count below zero", {"impressions": [{**base["impressions"][0], "count": -1}]}),
        ("an unknown work", {"impressions": [{**base["impressions"][0], "work": "w9"}]}),
        ("an unknown table", {"impressions": [{**base["impressions"][0], "table": "secret"}]}),
        ("a campaign twice", {"campaigns": [base["campaigns"][0]] * 2}),
        ("shares that do not sum", {"agreements": {**base["agreements"], "duet": {**duet, "shares": {**duet["shares"], "personal": {scids[0]: 999_999}}}}}),
        ("a member nobody knows", {"bonus": "1"}),
    ]  # fmt: skip
    bad = [{"name": name, "inputs": {**base, **change}, "error": "bad_settlement_input"} for name, change in wrong]
    return {"format": "settlement", "algorithm": algorithm.alg_id, "code": algorithm.code, "good": good, "bad": bad}


FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "entry": entries,
    "account_chain": account_chains,
    "accounts_root": accounts_roots,
    "checkpoint": checkpoints,
    "agreement": agreements,
    "statement": statements,
    "fork": forks,
    "settlement": settlements,
}


def main() -> None:
    """Write all files."""
    HERE.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (HERE / f"{name}.json").write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
