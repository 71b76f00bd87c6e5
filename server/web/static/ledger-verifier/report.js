// A verdict as `python -m payouts.ledger verify --json` writes it, to the last byte: payouts/ledger/report.py.

import { formatAmount } from "./money.js";

// An accounts root is written once a day; beyond this the newest one was not shown, or not written.
const ROOT_AGE_HOURS_MAX = 26n;
// datetime ends with the year 9999; a cosignature may not.
const SECONDS_MAX = 253_402_300_799n;

export function statementReport({ scid, custody, version, debtors }, isOwnPolicy) {
  return { verified: true, scid, custody, version, policy: isOwnPolicy ? "reader" : "file", debtors: debtors.map(debtorReport) };
}

export const forkReport = ({ origin, sizes }) => ({ verified: true, origin, sizes });

export const refusalReport = ({ code, message }) => ({ verified: false, reason: code, detail: message });

const debtorReport = (debtor) => ({
  origin: debtor.origin,
  as_of_index: debtor.asOfIndex,
  as_of: debtor.asOf,
  size: debtor.size,
  witnessed: debtor.witnesses.length > 0,
  witnesses: debtor.witnesses.map(signatureReport),
  others: debtor.others.map(signatureReport),
  stale: hoursBehind(debtor) > ROOT_AGE_HOURS_MAX,
  unchecked: debtor.unchecked,
  accounts: debtor.accounts.map(accountReport),
});

const accountReport = (account) => ({
  currency: account.currency,
  owed: formatAmount(account.payable + account.held),
  payable: formatAmount(account.payable),
  held: formatAmount(account.held),
  unclaimed: formatAmount(account.unclaimed),
  accrued: formatAmount(account.accrued),
  paid: formatAmount(account.paid),
  on_the_way: formatAmount(account.onTheWay),
  seq: account.seq,
});

const signatureReport = ({ key, timestamp }) => ({ key: key.text, at: timeText(timestamp) });

function timeText(timestamp) {
  const seconds = timestamp < SECONDS_MAX ? timestamp : SECONDS_MAX;
  return new Date(Number(seconds) * 1_000).toISOString().replace(".000", "");
}

function hoursBehind({ asOf, witnesses }) {
  const newest = witnesses.reduce((latest, { timestamp }) => (timestamp > latest ? timestamp : latest), 0n);
  const seconds = newest - BigInt(Date.parse(asOf) / 1_000);
  return seconds > 0n ? seconds / 3_600n : 0n;
}

/** The text of a report: members sorted, one blank for each level, everything beyond ASCII escaped. BigInts are numbers. */
export function reportText(value, indent = "") {
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    return value.length === 0 ? "[]" : `[\n${value.map((one) => inner + reportText(one, inner)).join(",\n")}\n${indent}]`;
  }
  if (typeof value === "object") {
    const members = Object.keys(value).sort().map((name) => `${inner}"${name}": ${reportText(value[name], inner)}`);
    return `{\n${members.join(",\n")}\n${indent}}`;
  }
  return typeof value === "string" ? quoted(value) : String(value);
}

const quoted = (text) =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => (unit === "\u007f" ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`));
