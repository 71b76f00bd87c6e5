// The door: bytes in, the report of `python -m payouts.ledger` out. Nothing here asks a server or the page.

import { parsePolicy, exactPolicy } from "./policy.js";
import { FILE_BYTES_MAX } from "./container.js";
import { verifyDebtor } from "./debtor.js";
import { checkFork } from "./fork.js";
import { verifyLog } from "./keylog.js";
import { parseVkey } from "./note.js";
import { Refused, refuse } from "./refused.js";
import { forkReport, refusalReport, statementReport } from "./report.js";
import { parseStatement } from "./statement.js";

const nobody = () => undefined;

/**
 * The report on a statement's file. `policyText`: the reader's own policy, or "" for none; `now`: milliseconds since 1970;
 * `onProgress(done, all)`: entries read.
 */
export function verifyStatement(data, { policyText = "", now = Date.now(), onProgress = nobody } = {}) {
  return reported(async () => {
    const policy = policyText === "" ? null : await parsePolicy(policyText);
    const statement = await parseStatement(data);
    const identity = await verifyLog(statement.identity, now);
    if (identity.scid !== statement.scid) refuse("wrong_scid", `the log is of ${identity.scid}`);
    const filePolicy = await parsePolicy(statement.policy);
    const all = statement.debtors.flatMap((debtor) => debtor.ranges).reduce((sum, range) => sum + range.entries.length, 0);
    let done = 0;
    const books = [];
    for (const debtor of statement.debtors) {
      books.push(await verifyDebtor(debtor, identity, filePolicy, policy, () => onProgress((done += 1), all)));
    }
    if (exactPolicy(books.map((one) => one.ledgerKey), books.map((one) => one.signed)) !== statement.policy) {
      refuse("policy_not_exact");
    }
    return statementReport({ ...identity, debtors: books.map((one) => one.verdict) }, policy !== null);
  });
}

/** The report on a fork proof. `vkeys`: the verifier keys of the log, as the reader knows them. */
export function verifyFork(data, vkeys) {
  return reported(async () => {
    const keys = [];
    for (const text of vkeys) keys.push(await parseVkey(text));
    return forkReport(await checkFork(data, keys));
  });
}

async function reported(judge) {
  try {
    return await judge();
  } catch (error) {
    if (error instanceof Refused) return refusalReport(error);
    throw error;
  }
}

/** What more of a file is never read. */
export const BYTES_MAX = FILE_BYTES_MAX + 1;
