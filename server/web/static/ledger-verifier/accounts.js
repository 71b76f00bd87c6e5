// The accounts tree, and the run of leaves that shows all accounts of one identity: payouts/ledger/accounts_root.py.

import { encode } from "./canonical.js";
import { accountKey } from "./chain.js";
import { checkMembers, isAscending, isInteger } from "./fields.js";
import { checkRange, leafHash } from "./merkle.js";
import { isCurrency, isScid, parseAmount } from "./money.js";
import { refuse } from "./refused.js";

const MEMBERS = ["scid", "currency", "seq", "balance", "held"];
const isSeq = isInteger(1);

export function parseLeaf(value) {
  checkMembers(value, MEMBERS, "account leaf");
  const member = (name) => value.get(name);
  const balance = parseAmount(member("balance"));
  const held = parseAmount(member("held"));
  if (!(isScid(member("scid")) && isCurrency(member("currency")) && isSeq(member("seq")) && balance >= 0n && held >= 0n)) {
    refuse("bad_member", "account leaf");
  }
  return { scid: member("scid"), currency: member("currency"), seq: member("seq"), balance, held, data: encode(value) };
}

/** All leaves that the tree has for an identity, at least one. */
export async function checkRun(run, scid, root, count) {
  const { leaves } = run;
  const own = leaves.filter((leaf) => leaf.scid === scid);
  if (own.length === 0) refuse("account_leaf_missing");
  if (!isAscending(leaves.map((leaf) => accountKey(leaf.scid, leaf.currency)))) refuse("accounts_tree_unsorted");
  const hashes = await Promise.all(leaves.map((leaf) => leafHash(leaf.data)));
  await checkRange(hashes, BigInt(run.index), BigInt(count), run.proof, root);
  const before = leaves.filter((leaf) => leaf.scid < scid).length;
  const after = leaves.filter((leaf) => leaf.scid > scid).length;
  if (before > 1 || after > 1) refuse("wrong_scid", "leaves of other identities beyond the two neighbours");
  if ((before === 0 && run.index > 0) || (after === 0 && run.index + leaves.length < count)) {
    refuse("account_run_incomplete", "a neighbour is missing");
  }
  return own;
}
