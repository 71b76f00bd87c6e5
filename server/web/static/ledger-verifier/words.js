// Verdicts in plain words, as parts of a page. Reports in, elements out.

import { REASONS } from "./reasons.js";

const UNIT = 1_000_000n;
const CUSTODY = { owner: "held by the person", server: "held by the home server" };
// On which sides a mark has its strokes: a tick, a cross.
const MARKS = { good: "M4 12.5l5 5L20 6.5", bad: "M6 6l12 12M18 6L6 18" };

/** An element with attributes and what stands in it; texts stay texts. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const hostOf = (name) => name.split("/", 1)[0];
const plural = (count, one, many) => `${count} ${String(count) === "1" ? one : many}`;

function inUnits(text) {
  const millionths = BigInt(text);
  const whole = millionths < 0n ? -millionths : millionths;
  const parts = `${whole % UNIT}`.padStart(6, "0");
  return `${millionths < 0n ? "-" : ""}${String(whole / UNIT).replace(/\B(?=(\d{3})+$)/g, "\u202f")}.${parts}`;
}

function moment(text) {
  const readable = new Date(text).toLocaleString("en-GB", { timeZone: "UTC", dateStyle: "long", timeStyle: "short" });
  return make("time", { datetime: text }, `${readable} UTC`);
}

function mark(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", MARKS[kind]);
  svg.append(path);
  return svg;
}

const head = (kind, title) => make("h2", { class: `verdict-title verdict-${kind}`, tabindex: "-1" }, mark(kind), title);

/** The verdict on a statement or on a fork proof. */
export function describe(report) {
  if (!report.verified) return describeRefusal(report);
  return report.debtors === undefined ? describeFork(report) : describeStatement(report);
}

function describeRefusal({ reason, detail }) {
  const sentence = REASONS[reason] ?? "";
  const parts = [make("p", {}, sentence || detail)];
  if (sentence !== "" && detail !== reason && detail !== "") parts.push(make("p", { class: "muted" }, detail));
  parts.push(make("p", {}, "Reason: ", make("code", {}, reason)));
  parts.push(make("p", { class: "muted" }, "This file proves nothing. Get it again from where it came; if it is refused again, ask for another."));
  return [head("bad", "Refused"), make("div", { class: "card stack stack-tight" }, ...parts)];
}

function describeFork({ origin, sizes }) {
  const words = `${hostOf(origin)} signed two histories that cannot both be true, at ${sizes[0]} and at ${sizes[1]} entries.`;
  return [
    head("good", "The proof holds"),
    make("div", { class: "card stack stack-tight" }, make("p", {}, make("strong", {}, words)), make("p", { class: "muted" }, `Log ${origin}. Whoever holds this file and the log's key can check it as you did.`)),
  ];
}

function describeStatement(report) {
  const owner = make("p", {}, "Owed to ", make("code", {}, report.scid), `, whose keys are ${CUSTODY[report.custody] ?? "of unstated custody"}.`);
  const trust = report.policy === "reader"
    ? "Every log and quorum is as your policy asks."
    : "The keys are those the file names. Give a policy above to ask for the logs and witnesses you trust.";
  return [
    head("good", "Verified"),
    owner,
    ...report.debtors.map(describeDebtor),
    make("p", { class: "muted" }, `${trust} Identity log ${report.version}.`),
  ];
}

function describeDebtor(debtor) {
  const witnessed = debtor.witnessed
    ? make("span", { class: "badge badge-good" }, `witnessed by ${debtor.witnesses.length}`)
    : make("span", { class: "badge badge-warn" }, "unwitnessed");
  const title = make("div", { class: "row" }, make("h3", {}, hostOf(debtor.origin)), witnessed);
  if (debtor.stale) title.append(make("span", { class: "badge badge-warn" }, "stale"));
  const asOf = make("p", {}, `As of entry ${debtor.as_of_index}, `, moment(debtor.as_of), `, in a log of ${plural(debtor.size, "entry", "entries")}.`);
  return make("section", { class: "card stack" }, title, ...debtor.accounts.map(describeAccount), asOf, ...describeSignatures(debtor));
}

function describeAccount(account) {
  const total = (name, amount) => make("div", {}, make("dt", {}, name), make("dd", {}, inUnits(amount)));
  const totals = [total("Payable", account.payable), total("Held", account.held)];
  if (account.unclaimed !== "0") totals.push(total("Waits for a signed agreement", account.unclaimed));
  const story = `Accrued ${inUnits(account.accrued)}, paid ${inUnits(account.paid)}, on the way ${inUnits(account.on_the_way)}, in ${plural(account.seq, "entry", "entries")}.`;
  const owed = make("p", {}, "Owed ", make("strong", { class: "verdict-owed" }, `${inUnits(account.owed)} ${account.currency}`));
  return make("div", { class: "stack stack-tight" }, owed, make("dl", { class: "verdict-parts" }, ...totals), make("p", { class: "muted small" }, story));
}

function describeSignatures(debtor) {
  const host = hostOf(debtor.origin);
  const nameOf = ({ key }) => key.split("+", 1)[0];
  const parts = [];
  if (!debtor.witnessed) {
    parts.push(make("p", {}, `Unwitnessed: nobody but ${host} has signed these books. It could show other ones to somebody else.`));
  }
  if (debtor.stale) {
    parts.push(make("p", {}, "Stale: these accounts are more than a day older than the newest signature. Ask for a new statement."));
  }
  const lines = [
    ...debtor.witnesses.map((one) => make("li", {}, `Witnessed by ${nameOf(one)}, `, moment(one.at))),
    ...debtor.others.map((one) => make("li", {}, `Also signed by ${nameOf(one)}, `, moment(one.at))),
    ...debtor.unchecked.map((scid) => make("li", {}, "Not checked here: the signature of ", make("code", {}, scid), " under an agreement")),
  ];
  if (lines.length > 0) parts.push(make("ul", { class: "plain small muted" }, ...lines));
  return parts;
}
