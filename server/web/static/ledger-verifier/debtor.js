// One debtor's part of a statement, verified rung by rung: payouts/ledger/debtor.py.

import { checkRun } from "./accounts.js";
import { checkAgreement } from "./agreement.js";
import { fromHex } from "./bytes.js";
import { NO_MOVE, START, accountKey, checkLink, headAfter } from "./chain.js";
import { openCheckpoint } from "./checkpoint.js";
import { parseEntry } from "./entries.js";
import { isAscending } from "./fields.js";
import { checkInclusion, checkRange } from "./merkle.js";
import { parseAmount } from "./money.js";
import { sortedKeys } from "./note.js";
import { countedCosignatures } from "./policy.js";
import { refuse } from "./refused.js";
import { ROTATE, keysOfGenesis, ledgerKeyAt } from "./rotation.js";
import { Holds, Payouts } from "./steps.js";

const ACCOUNTS_ROOT = "accounts.root";

/**
 * What these books prove, and the `ledgerKey` and the `signed` checkpoint that the statement's policy is held against.
 * `policy`: the reader's own, or null; `onEntry()` is called after each entry.
 */
export async function verifyDebtor(debtor, identity, filePolicy, policy, onEntry) {
  const genesis = await parseEntry(debtor.genesis, debtor.origin, 0);
  const keys = await keysOfGenesis(genesis);
  const entries = [];
  for (const { start, entries: range } of debtor.ranges) {
    for (const [place, data] of range.entries()) {
      entries.push(await parseEntry(data, debtor.origin, start + place));
      onEntry();
    }
  }
  const ledgerKey = await ledgerKeyAt(keys, entries.filter((entry) => entry.type === ROTATE));
  const signed = await open(debtor, ledgerKey, filePolicy, policy);
  await checkPlaces(debtor, genesis, entries, signed);
  checkOrder([genesis, ...entries]);
  const books = await followChains(entries, identity.scid, signed.size);
  const root = await checkAccountsRoot(entries, books.heads, debtor.run, identity.scid);
  const unchecked = await checkAgreements(debtor, entries, identity, genesis.body.get("actor"), keys.instance);
  return { ledgerKey, signed, verdict: verdictOf({ debtor, ledgerKey, signed, books, root, unchecked }) };
}

async function open(debtor, ledgerKey, filePolicy, policy) {
  const cosigners = sortedKeys([...filePolicy.witnesses.values(), ...(policy?.witnesses.values() ?? [])]);
  const { origin } = debtor;
  const signed = await openCheckpoint(debtor.checkpoint, { origin, logKeys: [ledgerKey], cosigners, onlyKnown: true });
  if (signed.extensions.length > 0) refuse("wrong_origin", "a checkpoint of this ledger has three lines");
  if (policy !== null) {
    if (policy.logs.length > 0 && !policy.logs.some((key) => key.text === ledgerKey.text)) refuse("log_not_trusted", origin);
    policy.check(signed);
  }
  return signed;
}

async function checkPlaces(debtor, genesis, entries, signed) {
  await checkInclusion(genesis.leaf, 0n, signed.size, debtor.genesisProof, signed.root);
  let at = 0;
  for (const range of debtor.ranges) {
    const leaves = entries.slice(at, at + range.entries.length).map((entry) => entry.leaf);
    at += leaves.length;
    await checkRange(leaves, BigInt(range.start), signed.size, range.proof, signed.root);
  }
}

function checkOrder(entries) {
  const seen = new Set();
  let last = "";
  for (const { at, id, index } of entries) {
    if (at < last) refuse("time_went_backwards", `entry ${index}`);
    if (seen.has(id)) refuse("entry_id_repeated", `entry ${index}`);
    last = at;
    seen.add(id);
  }
}

async function followChains(entries, scid, size) {
  const books = { heads: new Map(), accrued: new Map(), payouts: new Payouts(), holds: new Holds() };
  for (const entry of entries) {
    const links = entry.links.filter((link) => link.scid === scid);
    if (links.length === 0 && entry.type !== ACCOUNTS_ROOT && entry.type !== ROTATE) {
      refuse("foreign_entry", `entry ${entry.index}, ${entry.type}`);
    }
    for (const link of links) {
      const head = books.heads.get(link.currency) ?? START;
      const move = entry.moves.get(accountKey(scid, link.currency)) ?? NO_MOVE;
      checkLink(link, head, move);
      books.heads.set(link.currency, headAfter(link, entry.leafHex, head, move));
    }
    await books.payouts.add(entry);
    books.holds.add(entry);
    if (entry.type === "accrue") accrue(entry, books.accrued, size);
  }
  return books;
}

function accrue({ index, body }, accrued, size) {
  const [close, batch, currency] = ["close", "batch", "currency"].map((member) => body.get(member));
  const end = BigInt(close) + BigInt(batch);
  if (!(close < index && BigInt(index) <= end && end < size)) refuse("close_batch_cut", `entry ${index} of the close at ${close}`);
  accrued.set(currency, (accrued.get(currency) ?? 0n) + parseAmount(body.get("amount")));
}

async function checkAccountsRoot(entries, heads, run, scid) {
  const roots = entries.filter((entry) => entry.type === ACCOUNTS_ROOT);
  if (roots.length !== 1) refuse("account_leaf_missing", `${roots.length} accounts roots, not the latest alone`);
  const [root] = roots;
  if (entries.some((entry) => entry.links.length > 0 && entry.index > root.index)) refuse("account_leaf_stale");
  const leaves = await checkRun(run, scid, fromHex(root.body.get("root")), root.body.get("count"));
  for (const leaf of leaves) checkLeaf(leaf, heads.get(leaf.currency) ?? START);
  for (const currency of heads.keys()) {
    if (!leaves.some((leaf) => leaf.currency === currency)) refuse("account_leaf_missing", currency);
  }
  return root;
}

function checkLeaf({ currency, seq, balance, held }, head) {
  if (head.seq < seq) refuse("statement_incomplete", `${currency}: seq ${seq}, but the entries end at ${head.seq}`);
  if (head.seq > seq) refuse("account_leaf_stale", `${currency}: seq ${seq}, but the entries end at ${head.seq}`);
  if (balance !== head.balance || held !== head.held) refuse("account_leaf_wrong", `${currency}: ${balance} and ${held}`);
}

async function checkAgreements(debtor, entries, identity, actor, instance) {
  const keys = new Map([...identity.keys, [`${actor}#instance-1`, instance]]);
  const known = new Map();
  const unchecked = new Set();
  for (const data of debtor.agreements) {
    const agreement = await checkAgreement(data, keys);
    if (agreement.origin !== debtor.origin) refuse("wrong_origin", `an agreement of ${agreement.origin}`);
    if (agreement.unknown.includes(identity.scid)) {
      refuse("agreement_unsigned", "signed with a key that is not in the identity log");
    }
    known.set(agreement.id, agreement);
    for (const party of agreement.unknown) unchecked.add(party);
  }
  if (!isAscending([...known.keys()]) || known.size !== debtor.agreements.length) {
    refuse("agreement_unused", "agreements are not sorted by id, or one stands twice");
  }
  const used = new Set(entries.flatMap((entry) => checkTerms(entry, known, identity.scid)));
  if ([...known.keys()].some((id) => !used.has(id))) refuse("agreement_unused");
  return [...unchecked].sort();
}

/** The agreements that an entry rests on; payable money needs one that the identity signed. */
function checkTerms({ type, index, body, moves }, known, scid) {
  if (type !== "accrue" && type !== "claim") return [];
  const ids = type === "accrue" ? body.get("agreements") : [body.get("agreement")];
  if (!ids.every((id) => known.has(id))) refuse("agreement_missing", `entry ${index}`);
  const own = ids.map((id) => known.get(id).parties.includes(scid));
  const { payable, unclaimed } = moves.get(accountKey(scid, body.get("currency")));
  if ((payable > 0n && !own.includes(true)) || (unclaimed > 0n && !own.includes(false))) {
    refuse("agreement_mismatch", `entry ${index}`);
  }
  return ids;
}

function verdictOf({ debtor, ledgerKey, signed, books, root, unchecked }) {
  const witnesses = countedCosignatures(signed);
  return {
    origin: debtor.origin,
    asOfIndex: root.index,
    asOf: root.at,
    size: signed.size,
    witnesses,
    others: signed.signatures.filter((one) => !witnesses.includes(one) && one.key.text !== ledgerKey.text),
    unchecked,
    accounts: [...books.heads.keys()].sort().map((currency) => ({
      currency,
      payable: books.heads.get(currency).balance,
      held: books.heads.get(currency).held,
      unclaimed: books.heads.get(currency).unclaimed,
      accrued: books.accrued.get(currency) ?? 0n,
      paid: books.payouts.total(["settled"], currency),
      onTheWay: books.payouts.total(["intended", "sent"], currency),
      seq: books.heads.get(currency).seq,
    })),
  };
}
