// Fork proofs: two checkpoints of one log that cannot both be true: payouts/ledger/fork.py.

import { isEqual, toUtf8 } from "./bytes.js";
import { decode } from "./canonical.js";
import { openCheckpoint } from "./checkpoint.js";
import { checkMembers, checkVersion, hashesFromBase64, isString } from "./fields.js";
import { PROOF_HASHES_MAX, foldConsistency } from "./merkle.js";
import { Refused, refuse } from "./refused.js";

const FORK_BYTES_MAX = 32_768;
const MEMBERS = ["v", "type", "origin", "older", "newer", "path"];

/** The conviction in a file, for a reader who knows the log's keys and nothing else. */
export async function checkFork(data, logKeys) {
  const document = decode(data, FORK_BYTES_MAX);
  checkMembers(document, MEMBERS, "fork proof");
  checkVersion(document);
  if (!["origin", "older", "newer"].every((name) => isString(document.get(name))) || document.get("type") !== "fork") {
    refuse("bad_member", "fork proof");
  }
  const path = hashesFromBase64(document.get("path"), PROOF_HASHES_MAX + 1);
  const origin = document.get("origin");
  const older = await openCheckpoint(toUtf8(document.get("older")), { origin, logKeys });
  const newer = await openCheckpoint(toUtf8(document.get("newer")), { origin, logKeys });
  await checkContradiction(older, newer, path);
  return { origin, sizes: [older.size, newer.size] };
}

async function checkContradiction(older, newer, path) {
  if (older.size === newer.size) {
    if (path.length > 0 || isEqual(older.root, newer.root)) {
      refuse("not_a_fork", "one root at one size, or a path where none belongs");
    }
    return;
  }
  let roots;
  try {
    roots = await foldConsistency(older.size, newer.size, path);
  } catch (error) {
    if (error instanceof Refused) refuse("not_a_fork", `the path is not one: ${error.code}`);
    throw error;
  }
  if (!isEqual(roots.newer, newer.root)) refuse("not_a_fork", "the path does not lead to the larger root");
  if (isEqual(roots.older, older.root)) refuse("not_a_fork", "the larger tree begins with the smaller one");
}
