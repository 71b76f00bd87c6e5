// The account chain: payouts/ledger/chain.py. Whoever holds all links from seq 1 knows that no debit was left out.

import { ZERO_HASH, checkMembers, isHexHash, isInteger } from "./fields.js";
import { isCurrency, isScid, parseAmount } from "./money.js";
import { refuse } from "./refused.js";

const MEMBERS = ["scid", "currency", "seq", "prev", "balance_after", "held_after"];
const isSeq = isInteger(1);
const PLACES = { "L:payee": "payable", "L:hold": "held", "L:unclaimed": "unclaimed" };

export const START = { seq: 0, leaf: ZERO_HASH, balance: 0n, held: 0n, unclaimed: 0n };
export const NO_MOVE = { payable: 0n, held: 0n, unclaimed: 0n };

/** An account of an identity as one text; neither part has a space. */
export const accountKey = (scid, currency) => `${scid} ${currency}`;

export function parseLink(value) {
  checkMembers(value, MEMBERS, "account link");
  const link = Object.fromEntries(value);
  if (!(isScid(link.scid) && isCurrency(link.currency) && isSeq(link.seq) && isHexHash(link.prev))) {
    refuse("bad_member", "account link");
  }
  if ((link.seq === 1) !== (link.prev === ZERO_HASH)) {
    refuse("account_chain_broken", "64 zeros stand before the first entry of an account, and only there");
  }
  const balanceAfter = parseAmount(link.balance_after);
  const heldAfter = parseAmount(link.held_after);
  if (balanceAfter < 0n || heldAfter < 0n) refuse("account_overdrawn");
  return { scid: link.scid, currency: link.currency, seq: link.seq, prev: link.prev, balanceAfter, heldAfter };
}

/** What postings change, per account of an identity. In postings what we owe is negative; here it is positive. */
export function movesOf(postings) {
  const found = new Map();
  for (const { account, amount } of postings) {
    if (!Object.hasOwn(PLACES, account.kind)) continue;
    const key = accountKey(account.detail, account.currency);
    const move = found.get(key) ?? NO_MOVE;
    const place = PLACES[account.kind];
    found.set(key, { ...move, [place]: move[place] - amount });
  }
  return found;
}

export function checkLink(link, head, move) {
  if (link.seq !== head.seq + 1) refuse("account_sequence_broken", `seq ${link.seq} after ${head.seq}`);
  if (link.prev !== head.leaf) refuse("account_chain_broken", `seq ${link.seq}`);
  const balance = head.balance + move.payable;
  const held = head.held + move.held;
  const unclaimed = head.unclaimed + move.unclaimed;
  if (balance < 0n || held < 0n || unclaimed < 0n) {
    refuse("account_overdrawn", `payable ${balance}, held ${held}, unclaimed ${unclaimed}`);
  }
  if (link.balanceAfter !== balance || link.heldAfter !== held) refuse("account_balance_wrong", `seq ${link.seq}`);
}

export const headAfter = (link, leafHex, head, move) => ({
  seq: link.seq,
  leaf: leafHex,
  balance: link.balanceAfter,
  held: link.heldAfter,
  unclaimed: head.unclaimed + move.unclaimed,
});

// Type -> what one unit of `amount` does to payable, held and unclaimed.
const PER_UNIT = new Map([
  ["hold", [-1n, 1n, 0n]],
  ["release", [1n, -1n, 0n]],
  ["claim", [1n, 0n, -1n]],
  ["unclaimed.return", [0n, 0n, -1n]],
  ["payout.intent", [-1n, 0n, 0n]],
  ["payout.sent", [0n, 0n, 0n]],
  ["payout.settled", [0n, 0n, 0n]],
  ["payout.failed", [1n, 0n, 0n]],
]);

export const isTouching = (type) => type === "accrue" || type === "clawback" || PER_UNIT.has(type);

/** Refuse postings that do to the account of `body` something else than the body says. */
export function checkMoves(type, body, moves) {
  if (!isTouching(type)) return;
  const key = accountKey(body.get("scid"), body.get("currency"));
  if ([...moves.keys()].some((other) => other !== key)) {
    refuse("amount_mismatch", "the postings touch another account than the body");
  }
  const { payable, held, unclaimed } = moves.get(key) ?? NO_MOVE;
  const parts = [payable, held, unclaimed];
  const sum = payable + held + unclaimed;
  const amount = parseAmount(body.get("amount"));
  let isRight = amount > 0n;
  if (type === "accrue") isRight &&= sum === amount && parts.every((part) => part >= 0n) && parts.includes(0n);
  else if (type === "clawback") isRight &&= sum === -amount && parts.every((part) => part <= 0n);
  else isRight &&= PER_UNIT.get(type).every((unit, at) => parts[at] === unit * amount);
  if (!isRight) refuse("amount_mismatch", `${type} of ${amount}, but the postings move ${parts.join(", ")}`);
}
