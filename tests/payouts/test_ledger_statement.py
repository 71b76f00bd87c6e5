"""Statements: what they prove, and that no byte of them can change without a named reason."""

import gzip
import json
import random
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest

from payouts.ledger import canonical, container
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.accounts_root import AccountLeaf, AccountsTree, Run, check_run, parse_blob
from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
from payouts.ledger.debtor import Agreement, Identity, KeyOf
from payouts.ledger.entries import Draft
from payouts.ledger.errors import (
    AccountChainBroken,
    AccountLeafMissing,
    AccountLeafStale,
    AccountLeafWrong,
    AccountRunIncomplete,
    AccountSequenceBroken,
    AccountsTreeUnsorted,
    AgreementMismatch,
    AgreementMissing,
    AgreementUnsigned,
    AgreementUnused,
    BadBase64,
    BadIdentityLog,
    BadIndex,
    BadMember,
    BadPayoutId,
    BadSignature,
    CloseBatchCut,
    EntryIdRepeated,
    ForeignEntry,
    HoldBroken,
    LedgerError,
    LogNotTrusted,
    MalformedStatement,
    MissingMember,
    PayoutOutOfOrder,
    PolicyNotExact,
    QuorumNotMet,
    RangesUnsorted,
    RootMismatch,
    StatementDamaged,
    StatementIncomplete,
    TimeWentBackwards,
    TooLarge,
    UnknownMember,
    UnknownSignature,
    UnknownVersion,
    WrongOrigin,
    WrongScid,
)
from payouts.ledger.merkle import leaf_hash
from payouts.ledger.note import add_signatures
from payouts.ledger.policy import parse_policy
from payouts.ledger.rotation import rotation_body
from payouts.ledger.statement import assemble
from payouts.ledger.verdict import Verdict, verify
from tests.payouts.ledger_world import (
    UNIT,
    WITNESSED_AT,
    Log,
    Signer,
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

ALICE = person("alice")
WITNESSES = [(beta.witness, WITNESSED_AT), (outside, WITNESSED_AT + 1)]

# What is the same in thousands of checks is checked once.
identity_once = cache(verify_identity_log)
agreement_once = cache(lambda data, keys: check_agreement(data, dict(keys).get))


def judge(data: bytes, policy: str | None = None) -> Verdict:
    reader = parse_policy(policy.encode()) if policy is not None else None
    return verify(data, verify_log=lambda lines: identity_once(tuple(lines)), check_agreement=check_agreement, policy=reader)


def changed(change: Callable[[Any], object], data: bytes | None = None) -> bytes:
    """The statement after a change of its JSON, packed anew."""
    document = json.loads(container.unpack(data or alices_statement()))
    change(document)
    return container.pack(canonical.encode(document))


def test_a_statement_says_who_owes_what_as_of_when() -> None:
    verdict = judge(alices_statement())
    assert (verdict.scid, verdict.custody, verdict.version) == (ALICE.scid, "server", ALICE.log.version_ids[-1])
    first, second = verdict.debtors
    assert (first.origin, first.as_of_index, first.as_of, first.size) == (alpha.origin, 22, "2026-12-01T10:00:00Z", 23)
    euro, dollar = first.accounts
    assert euro.accrued - euro.paid - euro.on_the_way == euro.payable + euro.held == 37_725_806
    assert (euro.held, euro.paid, euro.on_the_way, euro.seq) == (5 * UNIT, 10 * UNIT, 3 * UNIT, 9)
    assert (dollar.currency, dollar.payable, dollar.seq) == ("USD", 2_600_000, 1)
    assert [one.key.name for one in first.witnesses] == ["beta.example/witness/1", "witness.example/w1"]
    assert [one.key.name for one in first.others] == ["alpha.example/witness/1"]
    assert (second.accounts[0].payable, second.accounts[0].unclaimed) == (0, 1_300_000)
    assert first.witnessed
    assert second.witnessed
    assert first.unchecked == ()


def test_any_gzip_tool_opens_it_and_the_bytes_are_reproducible() -> None:
    text = gzip.decompress(alices_statement())
    assert text == container.unpack(alices_statement())
    assert canonical.decode(text, bytes_max=10**6)["scid"] == ALICE.scid
    assert container.pack(text) == alices_statement()


def test_every_flipped_bit_of_the_file_is_refused() -> None:
    data = alices_statement()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StatementDamaged):
            container.unpack(bytes(flipped))


@cache
def small_statement() -> bytes:
    return statement_of(ALICE.scid, ALICE.lines, beta_log(), witnesses=[(alpha.witness, WITNESSED_AT)])


def _refuses_flips(bits: Sequence[int]) -> None:
    """Flip bits of the JSON behind the container, repack, and expect a refusal."""
    text = container.unpack(small_statement())
    good = identity_once(ALICE.lines)

    def identity(lines: Sequence[bytes]) -> Identity:
        return good if tuple(lines) == ALICE.lines else verify_identity_log(lines)

    def agreement(data: bytes, key_of: KeyOf) -> tuple[Agreement, tuple[str, ...]]:
        keys = tuple(sorted((name, key) for name, key in key_of.__self__.items()))  # type: ignore[attr-defined]
        return agreement_once(data, keys)

    for bit in bits:
        flipped = bytearray(text)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerError) as caught:
            verify(_fast_pack(bytes(flipped)), verify_log=identity, check_agreement=agreement)
        assert caught.value.code != "ledger_error"


def _fast_pack(text: bytes) -> bytes:
    """The container with a stored block: what a level 0 compressor writes is as valid."""
    deflate = zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS)
    body = deflate.compress(text) + deflate.flush() + zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return container.HEADER + container.sha256(body).digest() + body


def test_flipped_bits_of_the_text_are_refused_by_name() -> None:
    chance = random.Random(2026)
    print("seed 2026")
    _refuses_flips(chance.sample(range(len(container.unpack(small_statement())) * 8), 1_500))


@pytest.mark.slow
def test_one_flipped_bit_in_every_byte_of_the_text_is_refused() -> None:
    _refuses_flips([byte * 8 + byte % 8 for byte in range(len(container.unpack(small_statement())))])


@pytest.mark.long
def test_every_flipped_bit_of_the_text_is_refused() -> None:
    _refuses_flips(range(len(container.unpack(small_statement())) * 8))


# The reader's own policy.


def policy(*witnesses: Signer, threshold: object = "all", logs: Sequence[Log] | None = None) -> str:
    lines = [f"log {key}" for key in logs_keys(*(logs if logs is not None else (alpha_log(), beta_log())))]
    lines += [f"witness {one.name} {one.verifier}" for one in witnesses]
    lines += [f"group g {threshold} {' '.join(one.name for one in witnesses)}", "quorum g"]
    return "".join(f"{line}\n" for line in lines)


def test_the_readers_policy_is_asked_for() -> None:
    assert judge(alices_statement(), policy(outside)).debtors[0].witnessed
    assert judge(alices_statement(), policy(alpha.witness, beta.witness, threshold="any")).debtors
    with pytest.raises(QuorumNotMet):
        judge(alices_statement(), policy(alpha.witness, beta.witness))
    with pytest.raises(QuorumNotMet):
        judge(alices_statement(), policy(Signer("else.example/w", 4, seed("else"))))
    with pytest.raises(LogNotTrusted):
        judge(alices_statement(), policy(outside, logs=[alpha_log()]))
    assert judge(alices_statement(), "quorum none\n").debtors


def test_an_unwitnessed_statement_says_so() -> None:
    verdict = judge(statement_of(ALICE.scid, ALICE.lines, alpha_log()))
    assert not verdict.debtors[0].witnessed
    own = judge(statement_of(ALICE.scid, ALICE.lines, alpha_log(), witnesses=[(alpha.witness, WITNESSED_AT)]))
    assert not own.debtors[0].witnessed
    with pytest.raises(QuorumNotMet):
        judge(statement_of(ALICE.scid, ALICE.lines, alpha_log()), policy(outside))


# Everything that a debtor or a stranger could try.


def _debtor(change: Callable[[Any], object], number: int = 0) -> Callable[[Any], object]:
    return lambda document: change(document["debtors"][number])


def _set(*path: Any) -> Callable[[Any], object]:
    *names, last, value = path

    def change(document: Any) -> None:
        for name in names:
            document = document[name]
        document[last] = value

    return change


def _ranges(debtor: Any) -> dict[int, str]:
    return {one["start"] + place: text for one in debtor["ranges"] for place, text in enumerate(one["entries"])}


FORM: list[tuple[Callable[[Any], object], type[LedgerError]]] = [
    (lambda d: d.pop("policy"), MissingMember),
    (_set("note", ""), UnknownMember),
    (_set("v", 2), UnknownVersion),
    (_set("scid", person("bob").scid), WrongScid),
    (_set("scid", "alice"), MalformedStatement),
    (_set("policy", 7), MalformedStatement),
    (_set("policy", "quorum none\n"), UnknownSignature),
    (lambda d: d.update(policy=d["policy"] + "# hello\n"), PolicyNotExact),
    (lambda d: d.update(policy=d["policy"].replace("witnesses 2", "witnesses 1")), PolicyNotExact),
    (_set("identity", []), MalformedStatement),
    (_set("identity", "x"), MalformedStatement),
    (_set("identity", ["a\nb"]), MalformedStatement),
    (_set("identity", ["{}"]), BadIdentityLog),
    (_set("identity", [line.decode() for line in person("bob").lines]), WrongScid),
    (_set("debtors", []), MalformedStatement),
    (_set("debtors", [7]), BadMember),
    (lambda d: d["debtors"].reverse(), MalformedStatement),
    (lambda d: d["debtors"].append(d["debtors"][1]), MalformedStatement),
    (_debtor(lambda d: d.pop("account_leaf")), AccountLeafMissing),
    (_debtor(_set("account_leaf", None)), AccountLeafMissing),
    (_debtor(_set("account_leaf", {})), AccountLeafMissing),
    (_debtor(_set("account_leaf", "leaves", [])), AccountLeafMissing),
    (_debtor(_set("account_leaf", "leaves", {})), MalformedStatement),
    (_debtor(_set("account_leaf", "index", -1)), MalformedStatement),
    (_debtor(_set("account_leaf", "index", 1)), LedgerError),
    (_debtor(_set("account_leaf", "leaves", 0, "balance", "1")), RootMismatch),
    (_debtor(_set("account_leaf", "leaves", 0, "balance", "-1")), BadMember),
    (_debtor(_set("account_leaf", "leaves", 0, "seq", 0)), BadMember),
    (_debtor(lambda d: d["account_leaf"]["leaves"].reverse()), AccountsTreeUnsorted),
    (_debtor(lambda d: d.pop("account_proof")), MissingMember),
    (_debtor(_set("account_proof", "x")), BadMember),
    (_debtor(_set("origin", "x")), MalformedStatement),
    (_debtor(_set("origin", "alphb.example/ledger/1")), LedgerError),
    (_debtor(_set("genesis", "proof", [])), LedgerError),
    (_debtor(lambda d: d["genesis"].update(entry=d["ranges"][0]["entries"][0])), BadIndex),
    (_debtor(_set("checkpoint", 7)), MalformedStatement),
    (_debtor(lambda d: d.update(checkpoint=d["checkpoint"].replace("\n23\n", "\n24\n"))), BadSignature),
    (_debtor(_set("ranges", [])), RangesUnsorted),
    (_debtor(lambda d: d["ranges"].reverse()), RangesUnsorted),
    (_debtor(lambda d: d["ranges"].insert(0, d["ranges"][0])), RangesUnsorted),
    (_debtor(_set("ranges", 0, "entries", [])), RangesUnsorted),
    (_debtor(_set("ranges", 0, "start", 0)), RangesUnsorted),
    (_debtor(_set("ranges", 0, "entries", [7])), BadBase64),
    (_debtor(lambda d: d["ranges"][0].update(start=d["ranges"][0]["start"] + 1)), LedgerError),
    (_debtor(_set("ranges", 0, "proof", [])), LedgerError),
    (_debtor(lambda d: d["ranges"][0]["proof"].append(b64encode(bytes(32)).decode())), LedgerError),
    (_debtor(_set("agreements", {})), MalformedStatement),
    (_debtor(_set("agreements", [])), AgreementMissing),
    (_debtor(lambda d: d["agreements"].append(d["agreements"][0])), AgreementUnused),
    (_debtor(lambda d: d["agreements"].append(b64encode(offer("alpha.example").data).decode())), AgreementUnused),
    (_debtor(lambda d: d["agreements"].append(b64encode(offer("beta.example").data).decode())), AgreementUnsigned),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), FORM)
def test_a_changed_statement_is_refused_by_name(change: Callable[[Any], object], reason: type[LedgerError]) -> None:
    with pytest.raises(reason):
        judge(changed(change))


def test_a_range_cut_in_two_is_refused() -> None:
    """Two ranges that touch would be a second spelling of one."""
    log = alpha_log()

    def cut(document: Any) -> None:
        debtor = document["debtors"][0]
        one = next(one for one in debtor["ranges"] if len(one["entries"]) > 1)
        at = debtor["ranges"].index(one)
        halves = [
            {"start": one["start"], "entries": one["entries"][:1], "proof": one["proof"]},
            {"start": one["start"] + 1, "entries": one["entries"][1:], "proof": one["proof"]},
        ]
        debtor["ranges"][at : at + 1] = halves

    assert log.edge.size
    with pytest.raises(RangesUnsorted):
        judge(changed(cut))


def remade(log: Log, **changes: Any) -> bytes:
    """Alice's statement as a debtor would make it who shows other parts of an honestly signed log."""
    signed = log.checkpoint(WITNESSES)
    part = log.part(ALICE.scid, signed, **changes)
    return assemble(scid=ALICE.scid, identity=ALICE.lines, parts=[part], logs=logs_keys(log), signed=[signed])


def shown(log: Log, *left_out: int, also: Sequence[int] = ()) -> dict[int, bytes]:
    part = log.part(ALICE.scid, log.checkpoint())
    entries = {index: b64decode(text) for index, text in _ranges(part).items() if index not in left_out}
    return entries | {index: log.entries[index].data for index in also}


def test_an_entry_left_out_is_noticed() -> None:
    log = alpha_log()
    own = sorted(shown(log))
    assert judge(remade(log, entries=shown(log)))
    for index in own:
        entry = log.entries[index]
        reason = {"accounts.root": AccountLeafMissing}.get(entry.type, AccountSequenceBroken)
        if index in (16, 20, 21):  # the last of its currency: nothing follows that could miss it, but the leaf does
            reason = StatementIncomplete
        with pytest.raises(reason):
            judge(remade(log, entries=shown(log, index)))
    with pytest.raises(ForeignEntry):
        judge(remade(log, entries=shown(log, also=[5])))


def grown(*steps: Callable[[Log], object]) -> Log:
    """Beta's log with more behind it."""
    log = Log(beta)
    own = accepted("alice", "beta.example")
    log.agree("2026-11-01T12:00:01Z", offer("beta.example"), own)
    log.fund("2026-11-02T09:00:00Z", 2 * UNIT)
    log.close("2026-12-01T09:00:00Z", 2 * UNIT, [(ALICE.scid, own.id, 1)])
    for step in steps:
        step(log)
    return log


ROOT = "2026-12-01T10:00:00Z"


def test_an_account_leaf_that_is_not_the_latest_is_refused() -> None:
    log = grown(lambda log: log.commit_accounts(ROOT), lambda log: log.hold("2026-12-02T09:00:00Z", ALICE.scid, 5))
    # The newest entries are there, the root of before them as well: stale.
    with pytest.raises(AccountLeafStale):
        judge(remade(log))
    # Without the newest entry it is a true statement as of the older root.
    verdict = judge(remade(log, entries=shown(log, 8)))
    assert verdict.debtors[0].as_of_index < verdict.debtors[0].size - 1
    log.commit_accounts("2026-12-02T10:00:00Z")
    assert judge(remade(log)).debtors[0].accounts[0].held == 5
    roots = [entry.index for entry in log.entries if entry.type == "accounts.root"]
    with pytest.raises(AccountLeafMissing):
        judge(remade(log, entries=shown(log, also=roots)))
    with pytest.raises(AccountLeafStale):
        judge(remade(log, entries=shown(log, roots[1], also=roots[:1])))


def test_an_account_leaf_that_says_something_else_is_refused() -> None:
    for change, reason in (
        (lambda leaf: leaf._replace(balance=leaf.balance + 1), AccountLeafWrong),
        (lambda leaf: leaf._replace(held=1), AccountLeafWrong),
        (lambda leaf: leaf._replace(seq=leaf.seq + 1), StatementIncomplete),
        (lambda leaf: leaf._replace(currency="CHF"), StatementIncomplete),
    ):
        log = grown()
        (key, head), *_ = log.heads.items()
        wrong = AccountsTree([change(AccountLeaf(*key, head.seq, head.balance, head.held))])
        log.accounts = wrong
        log.append(ROOT, Draft("accounts.root", draft_id("wrong root"), wrong.body(), {}))
        with pytest.raises(reason):
            judge(remade(log))
    log = grown(lambda log: log.hold(ROOT, ALICE.scid, 5))
    (key, head), *_ = log.heads.items()
    older = AccountsTree([AccountLeaf(*key, 1, 1_300_000, 0)])
    log.accounts = older
    log.append(ROOT, Draft("accounts.root", draft_id("old root"), older.body(), {}))
    with pytest.raises(AccountLeafStale):
        judge(remade(log))


def test_a_currency_left_out_is_noticed() -> None:
    log = alpha_log()
    dollars = [entry.index for entry in log.entries if entry.link((ALICE.scid, "USD"))]
    with pytest.raises(StatementIncomplete):
        judge(remade(log, entries=shown(log, *dollars)))
    assert log.accounts is not None
    run = log.accounts.run(ALICE.scid)
    without = Run(run.index, run.leaves[:1], run.proof)
    with pytest.raises(LedgerError):
        judge(remade(log, entries=shown(log, *dollars), run=without))
    # A root that leaves her dollars out, honestly proven: the entries show what it hides.
    hiding = grown(
        lambda log: log.fund(ROOT, 9, "USD"),
        lambda log: log.close(ROOT, 9, [(ALICE.scid, accepted("alice", "beta.example").id, 1)], "USD"),
    )
    tree = AccountsTree(
        [AccountLeaf(*key, head.seq, head.balance, head.held) for key, head in hiding.heads.items() if key[1] == "EUR"]
    )
    hiding.accounts = tree
    hiding.append(ROOT, Draft("accounts.root", draft_id("hiding"), tree.body(), {}))
    with pytest.raises(AccountLeafMissing):
        judge(remade(hiding))


def test_the_neighbours_prove_that_no_account_is_hidden() -> None:
    tree = alpha_log().accounts
    assert tree is not None
    root, count = bytes.fromhex(tree.body()["root"]), len(tree.leaves)
    assert parse_blob(tree.blob()).body() == tree.body()
    for scid in {leaf.scid for leaf in tree.leaves}:
        run = tree.run(scid)
        assert check_run(run, scid, root=root, count=count) == tuple(leaf for leaf in tree.leaves if leaf.scid == scid)
        for low, high in ((1, 0), (0, 1)):
            short = run.leaves[low : len(run.leaves) - high]
            if any(leaf.scid == scid for leaf in short):
                with pytest.raises(LedgerError):
                    check_run(Run(run.index + low, short, run.proof), scid, root=root, count=count)
    wide = AccountsTree(
        AccountLeaf(person(name).scid, currency, 1, 1, 0)
        for name in ("alice", "bob", "charlie", "dora")
        for currency in ("EUR", "USD")
    )
    body = wide.body()
    nodes_run = wide.run(wide.leaves[4].scid)
    from payouts.ledger.merkle import hashes, nodes_of
    from payouts.ledger.ranges import prove_range

    nodes = nodes_of(hashes(leaf.data() for leaf in wide.leaves))

    def run_of(low: int, high: int) -> Run:
        return Run(low, tuple(wide.leaves[low:high]), prove_range(nodes, low, high, 8))

    assert run_of(3, 7) == nodes_run
    for (low, high), reason in (
        ((4, 7), AccountRunIncomplete),
        ((3, 6), AccountRunIncomplete),
        ((2, 7), WrongScid),
        ((3, 8), WrongScid),
        ((0, 2), AccountLeafMissing),
    ):
        with pytest.raises(reason):
            check_run(run_of(low, high), wide.leaves[4].scid, root=bytes.fromhex(body["root"]), count=8)
    with pytest.raises(AccountLeafMissing):
        wide.run(digest("nobody"))
    with pytest.raises(AccountsTreeUnsorted):
        AccountsTree([wide.leaves[0], wide.leaves[0]])
    lines = wide.blob().split(b"\n")
    with pytest.raises(AccountsTreeUnsorted):
        parse_blob(b"\n".join([lines[1], lines[0], *lines[2:]]))
    with pytest.raises(BadMember):
        parse_blob(wide.blob()[:-1])


def append_raw(log: Log, type_name: str, at: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Append an entry of a type the log already has, changed, by a debtor who does not check what he writes."""
    entry = next(entry for entry in reversed(log.entries) if entry.type == type_name)
    head = log.heads[ALICE.scid, "EUR"]
    document = json.loads(entry.data)
    document.update(index=len(log.entries), at=at, id=draft_id("raw", len(log.entries)))
    document["accounts"][0].update(seq=head.seq + 1, prev=head.leaf, balance_after=str(head.balance), held_after=str(head.held))
    change(document)
    _write(log, canonical.encode(document))


def _write(log: Log, data: bytes) -> None:
    from payouts.ledger.entries import parse_entry
    from payouts.ledger.growth import grow

    growth = grow(log.edge, [data])
    log.edge, entry = growth.edge, parse_entry(data)
    log.files.update(growth.files)
    log.entries.append(entry)
    for link in entry.links:
        before = log.heads[link.scid, link.currency]
        log.heads[link.scid, link.currency] = before._replace(
            seq=link.seq, leaf=entry.leaf.hex(), balance=link.balance_after, held=link.held_after
        )


def _payout_log() -> Log:
    return grown(lambda log: log.payout("2026-12-01T09:30:00Z", ALICE.scid, 1000, "intent", "sent"))


def test_steps_of_payouts_and_holds_are_followed() -> None:
    cases: list[tuple[Log, Callable[[Log], object], type[LedgerError]]] = [
        (_payout_log(), lambda log: append_raw(log, "payout.sent", ROOT, lambda d: None), PayoutOutOfOrder),
        (
            _payout_log(),
            lambda log: append_raw(log, "payout.sent", ROOT, lambda d: d["body"].update(payout="0" * 32)),
            PayoutOutOfOrder,
        ),
        (_payout_log(), lambda log: append_raw(log, "payout.intent", ROOT, _intent(log, payout="0" * 32)), BadPayoutId),
        (_payout_log(), lambda log: append_raw(log, "payout.intent", ROOT, _intent(log, seq_hi=9)), BadPayoutId),
        (
            grown(lambda log: log.payout(ROOT, ALICE.scid, 5, "intent")),
            lambda log: log.payout(ROOT, ALICE.scid, 5, "failed"),
            PayoutOutOfOrder,
        ),
        (grown(), lambda log: log.release(ROOT, ALICE.scid, 0 + 5, 1), HoldBroken),
        (grown(lambda log: log.hold(ROOT, ALICE.scid, 5)), lambda log: log.release(ROOT, ALICE.scid, 5, 1), HoldBroken),
        (
            grown(lambda log: log.hold(ROOT, ALICE.scid, 5, until="2026-12-01T10:00:01Z")),
            lambda log: log.release(ROOT, ALICE.scid, 5, 7),
            HoldBroken,
        ),
        (
            grown(lambda log: log.hold(ROOT, ALICE.scid, 5), lambda log: log.hold(ROOT, ALICE.scid, 5)),
            lambda log: log.release(ROOT, ALICE.scid, 6, 7),
            HoldBroken,
        ),
    ]
    for log, step, reason in cases:
        if reason is HoldBroken and not any(entry.type == "hold" for entry in log.entries):
            log.hold(ROOT, ALICE.scid, 5)
        step(log)
        log.commit_accounts(ROOT)
        with pytest.raises(reason):
            judge(remade(log))


def _intent(log: Log, **changes: Any) -> Callable[[dict[str, Any]], object]:
    head = log.heads[ALICE.scid, "EUR"]

    def change(document: dict[str, Any]) -> None:
        from payouts.ledger.steps import payout_id

        seq = changes.get("seq_hi", head.seq)
        number = changes.get("payout", payout_id(log.instance.origin, ALICE.scid, "EUR", seq))
        document["body"].update(seq_hi=seq, payout=number)
        document["accounts"][0]["balance_after"] = str(head.balance - 1000)

    return change


def test_a_payout_that_changes_on_its_way_is_refused() -> None:
    log = _payout_log()
    append_raw(log, "payout.sent", ROOT, lambda d: d["body"].update(rail="card"))
    log.commit_accounts(ROOT)
    with pytest.raises(PayoutOutOfOrder):
        judge(remade(log))


def test_time_ids_and_chains_of_a_careless_debtor_are_refused() -> None:
    log = grown()
    log.hold("2026-11-30T09:00:00Z", ALICE.scid, 5)
    log.commit_accounts(ROOT)
    with pytest.raises(TimeWentBackwards):
        judge(remade(log))
    log = grown(lambda log: log.hold(ROOT, ALICE.scid, 5))
    append_raw(
        log,
        "hold",
        ROOT,
        lambda d: d.update(id=log.entries[-1].id) or d["accounts"][0].update(balance_after="1299990", held_after="10"),
    )
    log.commit_accounts(ROOT)
    with pytest.raises(EntryIdRepeated):
        judge(remade(log))
    log = grown(lambda log: log.hold(ROOT, ALICE.scid, 5))
    append_raw(log, "hold", ROOT, lambda d: d["accounts"][0].update(prev=digest("x"), balance_after="1299990", held_after="10"))
    log.commit_accounts(ROOT)
    with pytest.raises(AccountChainBroken):
        judge(remade(log))


def test_a_checkpoint_does_not_cut_a_close() -> None:
    for change in ({"batch": 99}, {"close": 6}, {"close": 2}):
        log = grown()
        accrual = next(entry for entry in log.entries if entry.type == "accrue")
        document = json.loads(accrual.data)
        document["body"].update(change)
        wrong = Log(beta)
        wrong.agree("2026-11-01T12:00:01Z", offer("beta.example"), accepted("alice", "beta.example"))
        wrong.fund("2026-11-02T09:00:00Z", 2 * UNIT)
        _write(wrong, log.entries[5].data)
        wrong.heads[ALICE.scid, "EUR"] = log.heads[ALICE.scid, "EUR"]
        _write(wrong, canonical.encode(document))
        wrong.commit_accounts(ROOT)
        with pytest.raises(CloseBatchCut):
            judge(remade(wrong))


# Agreements.


def test_payable_money_needs_her_signature() -> None:
    log = grown(lambda log: log.commit_accounts(ROOT))
    with pytest.raises(AgreementMissing):
        judge(remade(log, agreements=[]))
    with pytest.raises(AgreementUnused):
        judge(remade(log, agreements=[one.data for one in sorted(log.agreements.values(), key=lambda one: one.id)]))
    with pytest.raises(WrongOrigin):
        judge(remade(log, agreements=[_foreign(accepted("alice", "beta.example").data)]))

    def lying(kind: str) -> bytes:
        """The accrual posted to the other place: payable under the default offer, or unclaimed under her own agreement."""
        own, terms = accepted("alice", "beta.example"), offer("beta.example")
        wrong = Log(beta)
        wrong.agree("2026-11-01T12:00:01Z", terms, own)
        wrong.fund("2026-11-02T09:00:00Z", 2 * UNIT)
        wrong.close("2026-12-01T09:00:00Z", 2 * UNIT, [(ALICE.scid, (terms if kind == "payable" else own).id, 1)])
        accrual = wrong.entries.pop()
        document = json.loads(accrual.data)
        names = {"L:payee": "L:unclaimed", "L:unclaimed": "L:payee"}
        for posting in document["postings"]:
            prefix = posting[0].rpartition(":")[0]
            posting[0] = posting[0].replace(prefix, names[prefix]) if prefix in names else posting[0]
        document["postings"].sort()
        document["accounts"][0]["balance_after"] = "1300000" if kind == "payable" else "0"
        data = canonical.encode(document)
        again = Log(beta)
        for entry in wrong.entries[1:]:
            _write(again, entry.data)
        again.agreements = wrong.agreements
        again.heads[ALICE.scid, "EUR"] = wrong.heads[ALICE.scid, "EUR"]
        _write(again, data)
        again.commit_accounts(ROOT)
        return remade(again)

    for kind in ("payable", "unclaimed"):
        with pytest.raises(AgreementMismatch):
            judge(lying(kind))


def _foreign(data: bytes) -> bytes:
    """Her agreement, but with another debtor, signed by both with the same keys."""
    from payouts import offers
    from payouts.agreement import agreement_id
    from tests.payouts.ledger_world import NOW

    document = json.loads(data)
    document["origin"] = "gamma.example/ledger/1"
    document = {**document, "id": agreement_id(document), "proof": []}
    document = offers.sign(document, key=ALICE.user_key, verification_method=ALICE.method, created=NOW)
    return canonical.encode(
        offers.sign(document, key=beta.instance_key, verification_method=f"{beta.actor}#instance-1", created=NOW)
    )


def test_a_key_that_is_not_in_her_log_does_not_sign_for_her() -> None:
    from payouts import offers
    from tests.payouts.ledger_world import NOW

    document = json.loads(accepted("alice", "beta.example").data)
    document["proof"] = []
    method = ALICE.method.replace("#user-1", "#user-2")
    document = offers.sign(document, key=ALICE.user_key, verification_method=method, created=NOW)
    document = offers.sign(document, key=beta.instance_key, verification_method=f"{beta.actor}#instance-1", created=NOW)
    log = grown(lambda log: log.commit_accounts(ROOT))
    with pytest.raises(AgreementUnsigned):
        judge(remade(log, agreements=[canonical.encode(document)]))


def test_a_claim_turns_unclaimed_into_payable() -> None:
    own = accepted("alice", "beta.example")
    log = Log(beta)
    log.agree("2026-11-01T12:00:01Z", offer("beta.example"), own)
    log.fund("2026-11-02T09:00:00Z", 2 * UNIT)
    log.close("2026-12-01T09:00:00Z", 2 * UNIT, [(ALICE.scid, offer("beta.example").id, 1)])
    amount = log.heads[ALICE.scid, "EUR"].unclaimed
    body = {"scid": ALICE.scid, "currency": "EUR", "amount": str(amount), "agreement": own.id}
    log.append(
        ROOT,
        Draft(
            "claim", draft_id("claim"), body, {f"L:unclaimed:{ALICE.scid}#EUR/6": amount, f"L:payee:{ALICE.scid}#EUR/6": -amount}
        ),
    )
    log.commit_accounts(ROOT)
    account = judge(remade(log)).debtors[0].accounts[0]
    assert (account.payable, account.unclaimed, account.accrued) == (1_300_000, 0, 1_300_000)
    with pytest.raises(AgreementMissing):
        judge(remade(log, agreements=[offer("beta.example").data]))


# Keys.


def test_a_rotated_ledger_key_is_followed() -> None:
    log = grown()
    new = Signer(beta.origin, 1, seed("beta ledger 2"))
    body = rotation_body(beta.origin, root_seed=beta.root_seed, old=beta.ledger, new=new)
    log.append(ROOT, Draft("key.rotate", draft_id("rotate"), body, {}))
    log.commit_accounts(ROOT)
    # Signed by the old key although the log has a new one: revoked by its place in the log.
    with pytest.raises(UnknownSignature):
        judge(remade(log))
    log.signer = new
    assert judge(remade(log)).debtors[0].origin == beta.origin
    rotation = next(entry.index for entry in log.entries if entry.type == "key.rotate")
    with pytest.raises(UnknownSignature):
        judge(remade(log, entries=shown(log, rotation)))


def test_signatures_nobody_names_are_refused() -> None:
    log = beta_log()
    signed = log.checkpoint([(alpha.witness, WITNESSED_AT)])
    part = log.part(ALICE.scid, signed)
    stranger = sign_checkpoint(Checkpoint(beta.origin, 1, bytes(32)), Signer("stranger.example", 1, seed("stranger")))
    part["checkpoint"] = add_signatures(part["checkpoint"].encode(), [stranger.decode().splitlines()[-1]]).decode()
    with pytest.raises(UnknownSignature):
        judge(assemble(scid=ALICE.scid, identity=ALICE.lines, parts=[part], logs=logs_keys(log), signed=[signed]))


def test_a_checkpoint_with_more_lines_is_not_ours() -> None:
    log = beta_log()
    extended = Checkpoint(beta.origin, log.edge.size, log.edge.root(), ("hello",))
    from payouts.ledger.checkpoint import open_checkpoint

    signed = open_checkpoint(sign_checkpoint(extended, beta.ledger), origin=beta.origin, log_keys=[beta.ledger.verifier])
    part = log.part(ALICE.scid, signed)
    with pytest.raises(WrongOrigin):
        judge(assemble(scid=ALICE.scid, identity=ALICE.lines, parts=[part], logs=logs_keys(log), signed=[signed]))


def test_a_checkpoint_with_too_many_signatures_is_not_shown() -> None:
    log = beta_log()
    crowd = [(Signer(f"w{number}.example/witness/1", 4, seed(f"w{number}")), WITNESSED_AT) for number in range(60)]
    with pytest.raises(BadMember):
        log.part(ALICE.scid, log.checkpoint(crowd))


# The container.


def test_containers_of_another_form_are_refused() -> None:
    text = container.unpack(small_statement())
    good = _fast_pack(text)
    assert container.unpack(good) == text

    def sealed(body: bytes) -> bytes:
        return container.HEADER + container.sha256(body).digest() + body

    body = good[len(container.HEADER) + 32 :]
    for wrong in (
        b"",
        b"x",
        gzip.compress(text, mtime=0),
        sealed(body + b"\0"),
        sealed(body[:-1]),
        sealed(b"\xff" + body),
        sealed(body[:-8] + bytes(8)),
    ):
        with pytest.raises(StatementDamaged):
            container.unpack(wrong)
    with pytest.raises(TooLarge):
        container.unpack(bytes(container.FILE_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        container.pack(bytes(container.TEXT_BYTES_MAX + 1))
    deflate = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    bomb = deflate.compress(bytes(container.TEXT_BYTES_MAX + 1)) + deflate.flush() + bytes(8)
    with pytest.raises(TooLarge):
        container.unpack(sealed(bomb))


def test_leaves_are_hashes_of_entries() -> None:
    debtor = json.loads(container.unpack(alices_statement()))["debtors"][0]
    first = _ranges(debtor)[alpha_log().entries[-1].index]
    assert leaf_hash(b64decode(first)) == alpha_log().entries[-1].leaf
