// Payouts and holds as the log tells them, which entry may follow which: payouts/ledger/steps.py.

import { encode } from "./canonical.js";
import { sha256Hex } from "./digest.js";
import { parseAmount } from "./money.js";
import { refuse } from "./refused.js";

// State and entry type -> state. An intent stands in the log before any money moves.
const STEPS = new Map([
  [" payout.intent", "intended"],
  ["intended payout.sent", "sent"],
  ["intended payout.settled", "settled"],
  ["intended payout.failed", "failed"],
  ["sent payout.settled", "settled"],
  ["sent payout.failed", "failed"],
]);
const SAME = ["scid", "currency", "amount", "rail"];
const PAYOUT_HEX = 32;

export class Payouts {
  constructor() {
    this.known = new Map();
  }

  /** Take the next entry; other types change nothing. */
  async add(entry) {
    if (!entry.type.startsWith("payout.")) return;
    const id = entry.body.get("payout");
    const { state, intent } = this.known.get(id) ?? { state: "", intent: entry };
    const after = STEPS.get(`${state} ${entry.type}`);
    if (after === undefined) {
      refuse("payout_out_of_order", `${entry.type} after ${state || "nothing"}, entry ${entry.index}`);
    }
    if (SAME.some((member) => entry.body.get(member) !== intent.body.get(member))) {
      refuse("payout_out_of_order", `entry ${entry.index} is not about the payout that was intended`);
    }
    if (entry === intent) await checkId(entry);
    this.known.set(id, { state: after, intent });
  }

  /** The millionths of all payouts in one of these states. */
  total(states, currency) {
    let sum = 0n;
    for (const { state, intent } of this.known.values()) {
      if (states.includes(state) && intent.body.get("currency") === currency) sum += parseAmount(intent.body.get("amount"));
    }
    return sum;
  }
}

async function checkId({ origin, body, links }) {
  const [scid, currency, seqHi] = ["scid", "currency", "seq_hi"].map((member) => body.get(member));
  const digest = await sha256Hex(encode(["payout/1", origin, scid, currency, seqHi]));
  if (body.get("payout") !== digest.slice(0, PAYOUT_HEX)) refuse("bad_payout_id");
  const link = links.find((one) => one.scid === scid && one.currency === currency);
  if (link !== undefined && seqHi >= link.seq) refuse("bad_payout_id", `seq ${seqHi} is not before the intent's own ${link.seq}`);
}

export class Holds {
  constructor() {
    this.known = new Map();
  }

  /** Take the next entry; other types change nothing. */
  add(entry) {
    if (entry.type === "hold") this.known.set(entry.index, { hold: entry, left: parseAmount(entry.body.get("amount")) });
    else if (entry.type === "release") this.release(entry);
  }

  release(entry) {
    const found = this.known.get(entry.body.get("hold"));
    if (found === undefined || ["scid", "currency"].some((member) => entry.body.get(member) !== found.hold.body.get(member))) {
      refuse("hold_broken", `entry ${entry.index} releases no hold of this account`);
    }
    const left = found.left - parseAmount(entry.body.get("amount"));
    if (left < 0n) refuse("hold_broken", `entry ${entry.index} releases more than was held`);
    if (entry.at < found.hold.body.get("until")) refuse("hold_broken", `entry ${entry.index} releases too early`);
    this.known.set(found.hold.index, { hold: found.hold, left });
  }
}
