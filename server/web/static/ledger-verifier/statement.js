// The form of a statement, nothing verified: payouts/ledger/statement.py, docs/reference/statement-format.md.

import { parseLeaf } from "./accounts.js";
import { fromBase64, toUtf8 } from "./bytes.js";
import { decode } from "./canonical.js";
import { TEXT_BYTES_MAX, unpack } from "./container.js";
import { checkMembers, checkVersion, hashesFromBase64, isAscending, isInteger, isString } from "./fields.js";
import { PROOF_HASHES_MAX, RANGE_PROOF_HASHES_MAX } from "./merkle.js";
import { isOrigin, isScid } from "./money.js";
import { refuse } from "./refused.js";

const MEMBERS = ["v", "scid", "identity", "debtors", "policy"];
const DEBTOR_MEMBERS = ["origin", "genesis", "checkpoint", "ranges", "agreements", "account_leaf", "account_proof"];
const DEBTORS_MAX = 256;
const IDENTITY_LINES_MAX = 2_000;
const RANGES_MAX = 20_000;
const AGREEMENTS_MAX = 1_000;
// A file of nothing else would fill the reader's memory: quotes, commas and opening brackets.
const MARKS_MAX = 3_000_000;
const MARKS = Uint8Array.from({ length: 256 }, (_, byte) => ('",[{'.includes(String.fromCharCode(byte)) ? 1 : 0));
const isIndex = isInteger();
const isFilled = (value, countMax) => Array.isArray(value) && value.length >= 1 && value.length <= countMax;
// What Python calls false: nothing is there.
const isNothing = (value) =>
  value === undefined || value === null || value === false || value === 0 || value === "" || value.size === 0 || value.length === 0;

export async function parseStatement(data) {
  const text = await unpack(data);
  checkMarks(text);
  const document = decode(text, TEXT_BYTES_MAX);
  checkMembers(document, MEMBERS, "statement");
  checkVersion(document);
  const [scid, identity, debtors, policy] = MEMBERS.slice(1).map((name) => document.get(name));
  if (!isScid(scid) || !isString(policy)) refuse("malformed_statement", "scid or policy");
  if (!isFilled(identity, IDENTITY_LINES_MAX) || !identity.every((line) => isString(line) && !line.includes("\n"))) {
    refuse("malformed_statement", "identity");
  }
  if (!isFilled(debtors, DEBTORS_MAX)) refuse("malformed_statement", "debtors");
  const parsed = debtors.map(parseDebtor);
  if (!isAscending(parsed.map((debtor) => debtor.origin))) refuse("malformed_statement", "debtors are not sorted by origin");
  return { scid, identity, debtors: parsed, policy };
}

/** Counted before the text is taken apart. */
function checkMarks(text) {
  let count = 0;
  for (const byte of text) count += MARKS[byte];
  if (count > MARKS_MAX) refuse("too_large", "more texts, lists and objects than any statement has");
}

function parseDebtor(value) {
  if (value instanceof Map && isNothing(value.get("account_leaf"))) refuse("account_leaf_missing");
  checkMembers(value, DEBTOR_MEMBERS, "debtor");
  const member = (name) => value.get(name);
  checkMembers(member("genesis"), ["entry", "proof"], "genesis");
  checkMembers(member("account_leaf"), ["index", "leaves"], "account_leaf");
  const [index, leaves] = [member("account_leaf").get("index"), member("account_leaf").get("leaves")];
  if (!isOrigin(member("origin")) || !isString(member("checkpoint")) || !isIndex(index)) {
    refuse("malformed_statement", "origin, checkpoint or account_leaf");
  }
  if (!Array.isArray(leaves) || !Array.isArray(member("agreements")) || member("agreements").length > AGREEMENTS_MAX) {
    refuse("malformed_statement", "leaves or agreements");
  }
  if (!isFilled(member("ranges"), RANGES_MAX)) refuse("ranges_unsorted", "no ranges");
  const ranges = member("ranges").map(parseRange);
  checkOrder(ranges);
  return {
    origin: member("origin"),
    genesis: fromBase64(member("genesis").get("entry")),
    genesisProof: hashesFromBase64(member("genesis").get("proof"), PROOF_HASHES_MAX),
    checkpoint: toUtf8(member("checkpoint")),
    ranges,
    agreements: member("agreements").map(fromBase64),
    run: { index, leaves: leaves.map(parseLeaf), proof: hashesFromBase64(member("account_proof"), RANGE_PROOF_HASHES_MAX) },
  };
}

function parseRange(value) {
  checkMembers(value, ["start", "entries", "proof"], "range");
  const entries = value.get("entries");
  if (!isIndex(value.get("start")) || !Array.isArray(entries) || entries.length === 0) {
    refuse("ranges_unsorted", "a range without start or entries");
  }
  const proof = hashesFromBase64(value.get("proof"), RANGE_PROOF_HASHES_MAX);
  return { start: value.get("start"), entries: entries.map(fromBase64), proof };
}

/** Entry 0 is the genesis and stands apart; two ranges that touch would be one. */
function checkOrder(ranges) {
  let least = 1;
  for (const { start, entries } of ranges) {
    if (start < least) refuse("ranges_unsorted");
    least = start + entries.length + 1;
  }
}
