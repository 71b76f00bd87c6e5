// The entry types: for each its body, member by member, and the kinds of account it may touch: payouts/ledger/bodies.py.

import { checkMembers, isAscending, isHexHash as hash, isInteger, isList, isText, isTime as time } from "./fields.js";
import {
  PERIOD, SCID, isCurrency as currency, isName as name, isOrigin as origin, isScid as scid,
} from "./money.js";
import { refuse } from "./refused.js";

const multikey = isText("z[1-9A-HJ-NP-Za-km-z]{47,48}");
const vkey = isText("[!-*,-~]{1,255}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{44}");
const version = isText(`[1-9][0-9]{0,5}-${SCID}`);
const unit = isText("[A-Z]{3}/6");
const period = isText(PERIOD);
const url = isText("https?://[!-~]{1,500}");
const word = isText("[a-z0-9][a-z0-9._/-]{0,63}");
const text = isText("[^\\x00-\\x1f\\x7f]{0,200}");
const algorithm = isText("[a-z][a-z0-9-]{0,40}/[1-9][0-9]{0,3}");
// Never negative: the sign stands in postings only.
const amount = isText("0|[1-9][0-9]{0,17}");
const int = isInteger();
const positive = isInteger(1);
const payout = isText("[0-9a-f]{32}");
const signature = isText("[A-Za-z0-9+/]{86}==");

const isPair = (value) => Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "number";
const tally = (value) =>
  isList(isPair, 64)(value) && value.every(([one, count]) => word(one) && int(count)) && isAscending(value.map(([one]) => one));
const indices = (value) => isList(int, 256)(value) && isAscending(value);
const ids = (value) => isList(hash, 32, 1)(value) && isAscending(value);
const units = (value) => isList(unit, 32, 1)(value) && isAscending(value);

const payoutStep = { payout, scid, currency, amount, rail: name };
const heldStep = { scid, currency, amount, reason: word, evidence: hash };

const row = (touches, body) => ({ touches: touches === "" ? [] : touches.split(" "), body: Object.entries(body) });

const TYPES = new Map(
  Object.entries({
    // The log itself.
    genesis: row("", {
      root: multikey, ledger: vkey, witness: vkey, auditor: vkey, mirror: vkey, instance: multikey, box: multikey,
      actor: url, currencies: units, calendar: isText("UTC"), rounding: algorithm, retention: word,
    }),
    "key.rotate": row("", {
      old: vkey, new: vkey, root_signature: signature, old_signature: signature, new_signature: signature,
    }),
    "policy.witness": row("", { policy: isText("[\\n\\x20-\\x7e]{1,3000}") }),
    shutdown: row("", { reason: text, until: time }),
    will: row("", { document: hash }),
    redact: row("", { blob: hash, reason: word }),
    "audit.dispute": row("", { origin, size: int, index: int, rule: word, evidence: hash }),
    // Who and under which terms.
    identity: row("", { scid, version }),
    agreement: row("", { agreement: hash, blob: hash, kind: word, prev: hash, effective_from: time }),
    // Money comes in.
    revenue: row("A:cash A:peer L:advertiser L:pool L:tax X:psp-fee", {
      source: name, currency, gross: amount, fee: amount, net: amount, reference: text, evidence: hash,
    }),
    refund: row("A:cash L:advertiser X:refund X:psp-fee L:tax", {
      source: name, currency, amount, reference: text, evidence: hash,
    }),
    "ops.cost": row("A:cash L:ops L:tax", { currency, period, amount, what: text, evidence: hash }),
    // A period is counted and shared.
    meter: row("", {
      period, works: hash, views_root: hash, qualified: int, impressions: int, sessions: int, rejected: tally,
    }),
    charge: row("L:advertiser L:pool L:tax", {
      period, campaign: name, currency, impressions: int, price_per_thousand: amount, amount, evidence: hash,
    }),
    close: row("L:pool L:ops L:viewers L:contributors E:reserve", {
      period, currency, pool: name, algorithm, code: hash, entries: indices, inputs: hash, outputs: hash, amount,
      carry: amount, accruals: int,
    }),
    accrue: row("L:pool L:payee L:unclaimed", {
      close: int, batch: positive, scid, currency, period, amount, lines: hash, agreements: ids,
    }),
    // A payee's account afterwards.
    hold: row("L:payee L:hold", { ...heldStep, until: time }),
    release: row("L:payee L:hold", { ...heldStep, hold: int }),
    clawback: row("L:payee L:hold L:unclaimed L:pool L:ops E:reserve X:refund", { ...heldStep, about: int, deadline: time }),
    appeal: row("", { scid, about: int, reason: word, evidence: hash, deadline: time }),
    ruling: row("", { scid, appeal: int, outcome: word, evidence: hash }),
    claim: row("L:payee L:unclaimed", { scid, currency, amount, agreement: hash }),
    "unclaimed.return": row("L:unclaimed L:pool", { scid, currency, amount, since: int }),
    "payout.intent": row("L:payee L:transit", { ...payoutStep, route: hash, seq_hi: positive }),
    "payout.sent": row("", { ...payoutStep, evidence: hash }),
    "payout.settled": row("L:transit A:cash X:psp-fee", { ...payoutStep, evidence: hash }),
    "payout.failed": row("L:transit L:payee", { ...payoutStep, reason: word }),
    // Roots.
    "accounts.root": row("", { root: hash, count: int, blob: hash }),
    "usage.root": row("", { day: isText("[0-9]{4}-[0-9]{2}-[0-9]{2}"), root: hash }),
    "attest.solvency": row("", { currency, liabilities: amount, reserves: amount, root: hash, evidence: hash }),
  }),
);

/** The kinds of account that an entry of this type may touch; its body is judged. */
export function checkBody(type, body) {
  const found = typeof type === "string" ? TYPES.get(type) : undefined;
  if (found === undefined) refuse("unknown_type", `${type} is no entry type`);
  if (!(body instanceof Map)) refuse("bad_body", "body is no object");
  checkMembers(body, found.body.map(([member]) => member), `body of ${type}`);
  for (const [member, isRight] of found.body) {
    if (!isRight(body.get(member))) refuse("bad_body", `${type}.${member}`);
  }
  return found.touches;
}

/** Types, their members and what they touch, for a test that holds this table against Python's. */
export const typeTable = () =>
  Object.fromEntries([...TYPES].map(([type, { touches, body }]) => [type, { touches: [...touches].sort(), body: body.map(([member]) => member).sort() }]));
