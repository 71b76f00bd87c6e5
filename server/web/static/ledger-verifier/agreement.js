// Agreements, who gets which share: payouts/agreement.py, docs/reference/agreement-format.md.

import { decode, encode } from "./canonical.js";
import { sha256Hex } from "./digest.js";
import { checkMembers, checkVersion, isAscending, isHexHash, isInteger, isList, isString, isText, isTime } from "./fields.js";
import { NAME, SCID, isOrigin, isScid } from "./money.js";
import { verifyCanonical } from "./proofs.js";
import { Refused, refuse } from "./refused.js";

const AGREEMENT_BYTES_MAX = 16_384;
const WHOLE = 1_000_000;
const PARTIES_MAX = 16;
const HOLDS_MAX = 16;
const PLACES = ["contributors", "operating", "reserve", "viewers"];
const TABLES = ["contextual", "personal"];
const SCOPES = new Map([["default", isText("\\*")], ["channel", isText(SCID)], ["work", isText("[!-~]{1,300}")]]);
const MEMBERS = [
  "v", "id", "kind", "origin", "scope", "prev", "created", "effective_from", "notice_days", "parties", "shares", "holds",
  "losses", "proof",
];
const PROOF_MEMBERS = ["type", "cryptosuite", "created", "verificationMethod", "proofPurpose", "proofValue"];
const METHOD = new RegExp(`^did:webvh:(${SCID}):[!-~]+\\?versionId=[1-9][0-9]*-${SCID}#user-[1-9][0-9]*$`);
const INSTANCE_METHOD = /^https?:\/\/[!-~]+#instance-1$/;
const isShare = isInteger(1, WHOLE);
const isNotice = isInteger(30, 366);
const isDays = isInteger(0, 366);
const isRate = isInteger(0, WHOLE);
const isName = isText(NAME);
const isObject = (value) => value instanceof Map;

function unless(isRight, detail) {
  if (!isRight) refuse("bad_agreement", detail);
}

/** The agreement in canonical bytes: `id`, `origin`, `parties`; and `unknown`, the parties whose keys `keys` does not have. */
export async function checkAgreement(data, keys) {
  const document = decode(data, AGREEMENT_BYTES_MAX);
  checkMembers(document, MEMBERS, "agreement");
  checkVersion(document);
  const text = encode(new Map([...document].filter(([name]) => name !== "id" && name !== "proof")));
  if (document.get("id") !== (await sha256Hex(text))) refuse("bad_agreement_id");
  checkHead(document);
  const parties = checkParties(document);
  checkMembers(document.get("shares"), TABLES, "shares");
  for (const table of TABLES) checkTable(document.get("shares").get(table), table, document.get("kind"), parties);
  checkHolds(document);
  const agreement = { id: document.get("id"), origin: document.get("origin"), parties };
  return { ...agreement, unknown: await checkSigned(agreement, document.get("proof"), text, keys) };
}

function checkHead(document) {
  const member = (name) => document.get(name);
  const isScope = isString(member("kind")) ? SCOPES.get(member("kind")) : undefined;
  unless(isScope !== undefined && isScope(member("scope")), "kind and scope");
  unless(isOrigin(member("origin")), "origin");
  unless(isHexHash(member("prev")), "prev");
  unless(isTime(member("created")), "created");
  unless(isTime(member("effective_from")) && member("effective_from") >= member("created"), "effective_from");
  unless(isNotice(member("notice_days")), "notice_days");
  unless(Array.isArray(member("proof")) && member("proof").length <= PARTIES_MAX + 1, "proof");
}

function checkParties(document) {
  const parties = document.get("parties");
  unless(isList(isObject, PARTIES_MAX)(parties), "parties");
  for (const party of parties) {
    checkMembers(party, ["scid", "role", "custody"], "party");
    unless(isScid(party.get("scid")), "party.scid");
    unless(["creator", "contributor"].includes(party.get("role")), "party.role");
    unless(["owner", "server"].includes(party.get("custody")), "party.custody");
  }
  const scids = parties.map((party) => party.get("scid"));
  unless(isAscending(scids), "parties are not sorted by scid");
  unless((document.get("kind") === "default") === (scids.length === 0), "a default offer has no party, others have some");
  unless(document.get("kind") !== "channel" || scids.includes(document.get("scope")), "the channel is no party");
  return scids;
}

function checkTable(value, table, kind, parties) {
  unless(isList(isObject, PARTIES_MAX + PLACES.length, 1)(value), `shares.${table}`);
  const receivers = kind === "default" ? [...PLACES, "creator"] : [...PLACES, ...parties];
  for (const share of value) {
    checkMembers(share, ["to", "share_millionths"], "share");
    unless(receivers.includes(share.get("to")), `shares.${table}: no receiver`);
    unless(isShare(share.get("share_millionths")), `shares.${table}: share_millionths`);
  }
  const names = value.map((share) => share.get("to"));
  unless(isAscending(names), `shares.${table} is not sorted by receiver`);
  unless(names.some((name) => !PLACES.includes(name)), `shares.${table} gives nothing to the creator`);
  const sum = value.reduce((whole, share) => whole + share.get("share_millionths"), 0);
  if (sum !== WHOLE) refuse("shares_do_not_sum", `shares.${table}: ${sum}`);
}

function checkHolds(document) {
  const holds = document.get("holds");
  unless(isList(isObject, HOLDS_MAX)(holds), "holds");
  for (const hold of holds) {
    checkMembers(hold, ["rail", "days", "rate_millionths"], "hold");
    unless(isName(hold.get("rail")) && isDays(hold.get("days")) && isRate(hold.get("rate_millionths")), "holds");
  }
  unless(isAscending(holds.map((hold) => hold.get("rail"))), "holds are not sorted by rail");
  const losses = document.get("losses");
  const isOrder = isList(isString, 2, 2)(losses) && ["reserve operating", "operating reserve"].includes(losses.join(" "));
  unless(isOrder, "losses");
}

async function checkSigned(agreement, proofs, text, keys) {
  const missing = new Set([agreement.origin, ...agreement.parties]);
  const unknown = [];
  const signers = proofs.map((proof) => signerOf(proof, agreement.origin));
  if (!isAscending(proofs.map((proof) => proof.get("verificationMethod")))) {
    refuse("agreement_proof_unexpected", "proofs are not sorted by verification method");
  }
  for (const [at, proof] of proofs.entries()) {
    const signer = signers[at];
    if (!missing.delete(signer)) refuse("agreement_proof_unexpected", signer);
    const key = keys.get(proof.get("verificationMethod"));
    if (key !== undefined) await verifyCanonical(text, proof, key);
    else if (signer === agreement.origin) refuse("agreement_unsigned", "the instance signs with a key that is not its own");
    else unknown.push(signer);
  }
  if (missing.size > 0) refuse("agreement_unsigned", [...missing].sort().join(", "));
  return unknown;
}

/** The party that a proof is of, as its verification method says. */
function signerOf(proof, origin) {
  try {
    checkMembers(proof, PROOF_MEMBERS, "proof");
  } catch (error) {
    if (error instanceof Refused) refuse("bad_signature", error.message);
    throw error;
  }
  const method = proof.get("verificationMethod");
  const found = isString(method) ? METHOD.exec(method) : null;
  if (found !== null) return found[1];
  if (isString(method) && INSTANCE_METHOD.test(method)) return origin;
  return refuse("agreement_proof_unexpected", "no key of a party");
}
