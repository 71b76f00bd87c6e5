// The key log of an identity, judged by the rules of our peers: server/identity/keylog (verify_policy), docs/reference/key-log.md.
//
// Every refusal is `bad_identity_log`; its detail names the rule. There is no witness file in a statement, so a log that asks
// for witnesses is refused (V13), as the Python verifier does.

import { isMultihash, multihash, multikeyBytes } from "./base58.js";
import { lengthOf, toUtf8 } from "./bytes.js";
import { didKeyOf, verifyCanonical } from "./proofs.js";
import { scidOfDid } from "./did.js";
import { readDocument } from "./document.js";
import { isInteger, isString, isTime } from "./fields.js";
import { parseJson, writeJson } from "./json.js";
import { Refused, refuse } from "./refused.js";

const LOG_BYTES_MAX = 5 * 1024 * 1024;
const ENTRIES_MAX = 2_000;
const DEPTH_MAX = 16;
const PROOFS_MAX = 4;
const KEYS_MAX = 32;
const NEXT_KEYS_MAX = 5;
const WATCHERS_MAX = 32;
const WITNESSES_MAX = 32;
const CLOCK_SKEW_SECONDS = 300;
const TTL_SECONDS_MAX = 2 ** 31;
const METHOD = "did:webvh:1.0";
const PLACEHOLDER = "{SCID}";
const MEMBERS = ["versionId", "versionTime", "parameters", "state", "proof"];
const VERSION_ID = /^([1-9][0-9]{0,8})-Qm[1-9A-HJ-NP-Za-km-z]{44}$/;
const HALF_A_PAIR = /[\ud800-\udfff]/u;

class BrokenRule extends Error {}

function unless(isRight, rule, detail) {
  if (!isRight) throw new BrokenRule(`${rule}: ${detail}`);
}

/** The identity in a key log's lines: `scid`, `custody`, `version`, and `keys`: verification method -> Ed25519 key. */
export async function verifyLog(lines, now) {
  try {
    return await replay(lines, now);
  } catch (error) {
    if (error instanceof BrokenRule || error instanceof Refused) refuse("bad_identity_log", error.message);
    throw error;
  }
}

/** Every entry of a log, replayed: `entry`, `after` (parameters), `did` and, of later entries, `keyIndex` (the j of V8b). */
export async function readLog(lines, now) {
  const size = lines.reduce((sum, line) => sum + toUtf8(line).length + 1, 0);
  unless(size <= LOG_BYTES_MAX && lines.length <= ENTRIES_MAX, "V1", "the log is too large");
  const versions = [];
  for (const line of lines) versions.push(await step(versions[versions.length - 1], parseEntry(line), now));
  unless(versions.every(({ after }) => after.witness === NO_WITNESS), "V13", "witnesses whose approvals are not here");
  return versions;
}

async function replay(lines, now) {
  const versions = await readLog(lines, now);
  const keys = new Map();
  let custody;
  for (const { entry } of versions) {
    const document = readDocument(entry.state);
    keys.set(`${document.did}?versionId=${entry.versionId}#user-${document.user.number}`, multikeyBytes(document.user.multikey, "ed25519"));
    ({ custody } = document);
  }
  const head = versions[versions.length - 1];
  return { scid: head.after.scid, custody, version: head.entry.versionId, keys };
}

function parseEntry(line) {
  unless(line.startsWith("{") && line.endsWith("}"), "V1", "a line is one JSON object and nothing else");
  const value = strictJson(line);
  unless(value.size === MEMBERS.length && MEMBERS.every((name) => value.has(name)), "V1", "exactly the five members");
  const [versionId, time, parameters, state, proof] = MEMBERS.map((name) => value.get(name));
  unless(parameters instanceof Map && state instanceof Map, "V1", "parameters and state are objects");
  const found = isString(versionId) ? VERSION_ID.exec(versionId) : null;
  unless(found !== null, "V3", "a versionId is written n-hash");
  unless(isTime(time), "V11", "versionTime is no time");
  const proofs = Array.isArray(proof) ? proof : [proof];
  unless(proofs.length <= PROOFS_MAX && proofs.every((one) => one instanceof Map), "V1", "proof is an object or a short list");
  return { versionId, number: Number(found[1]), time, parameters, state, proofs };
}

function strictJson(text) {
  const { value, hasDuplicates } = parseJson(text);
  unless(!hasDuplicates, "V1", "a name occurs twice");
  checkValue(value, 0);
  return value;
}

function checkValue(value, depth) {
  if (isString(value)) unless(!HALF_A_PAIR.test(value), "V1", "a lone surrogate");
  if (value instanceof Map) for (const name of value.keys()) unless(!HALF_A_PAIR.test(name), "V1", "a lone surrogate");
  if (!(value instanceof Map) && !Array.isArray(value)) return;
  unless(depth < DEPTH_MAX, "V1", "nested too deeply");
  for (const member of value.values()) checkValue(member, depth + 1);
}

const unsigned = (entry, versionId) =>
  writeJson(new Map([["parameters", entry.parameters], ["state", entry.state], ["versionId", versionId], ["versionTime", entry.time]]));

/** The next version, or the first broken rule. */
async function step(before, entry, now) {
  unless(!before?.after.deactivated, "V12", "an entry after the end");
  unless(entry.number === (before === undefined ? 1 : before.entry.number + 1), "V3", `entry ${entry.number} out of turn`);
  const after = before === undefined ? firstParameters(entry.parameters) : nextParameters(before.after, entry.parameters);
  if (before === undefined) await checkScid(entry, after.scid);
  const previous = before === undefined ? after.scid : before.entry.versionId;
  const hash = await multihash(toUtf8(unsigned(entry, previous)));
  unless(entry.versionId === `${entry.number}-${hash}`, "V4", `entry ${entry.number} was changed`);
  const did = entry.state.get("id");
  unless(scidOfDid(did) === after.scid, "V9", "the id is no did:webvh with this SCID at an allowed place");
  if (before !== undefined) checkMove(before, entry, after);
  unless(before === undefined || entry.time > before.entry.time, "V11", "not later than the entry before");
  unless(Date.parse(entry.time) <= now + CLOCK_SKEW_SECONDS * 1_000, "V11", "the entry lies in the future");
  const isCommitted = before !== undefined && before.after.nextKeyHashes.length > 0;
  if (isCommitted) await checkPreRotation(before, entry, after);
  const key = await checkProofs(entry, before === undefined || isCommitted ? after.updateKeys : before.after.updateKeys);
  const keyIndex = await checkPolicy(before, after, isCommitted ? key : null);
  return { entry, after, did, keyIndex };
}

async function checkScid(entry, scid) {
  const text = unsigned(entry, PLACEHOLDER).replaceAll(scid, () => PLACEHOLDER);
  unless((await multihash(toUtf8(writeJson(strictJson(text))))) === scid, "V5", "the SCID is not the hash of the first entry");
}

function checkMove(before, entry, after) {
  if (entry.state.get("id") === before.did) return;
  unless(after.portable, "V10", "the identity is not portable");
  const aliases = entry.state.get("alsoKnownAs");
  unless(Array.isArray(aliases) && aliases.includes(before.did), "V10", "alsoKnownAs does not list the id before");
}

async function checkPreRotation(before, entry, after) {
  unless(entry.parameters.has("updateKeys") && entry.parameters.has("nextKeyHashes"), "V8", "updateKeys or nextKeyHashes is missing");
  for (const key of after.updateKeys) {
    unless(before.after.nextKeyHashes.includes(await multihash(toUtf8(key))), "V8", "an update key that was not committed to");
  }
}

async function checkProofs(entry, active) {
  unless(entry.proofs.length > 0, "V6", "no proof");
  const data = toUtf8(unsigned(entry, entry.versionId));
  const keys = [];
  for (const proof of entry.proofs) {
    try {
      const key = didKeyOf(proof.get("verificationMethod"));
      unless(active.includes(key), "V6", "signed by a key that is not an active update key");
      await verifyCanonical(data, proof, multikeyBytes(key, "ed25519"));
      keys.push(key);
    } catch (error) {
      if (error instanceof Refused) unless(false, "V6", error.message);
      throw error;
    }
  }
  return keys[0];
}

/** `key`: the one that signed, where the entry before committed to keys; else null. */
async function checkPolicy(before, after, key) {
  unless(before !== undefined || (after.portable && after.nextKeyHashes.length > 0), "V7", "not portable, or no next key");
  unless(after.updateKeys.length === 1, "V8", "exactly one update key");
  unless(before === undefined || key !== null, "V8", "the entry before committed to no key");
  const next = after.nextKeyHashes;
  unless(next.length <= NEXT_KEYS_MAX && new Set(next).size === next.length, "V8b", "too many hashes, or one twice");
  if (before === undefined) return null;
  const committed = before.after.nextKeyHashes;
  const index = committed.indexOf(await multihash(toUtf8(key)));
  if (index === 0) return index;
  unless(committed.slice(0, index).every((hash, at) => next[at] === hash), "V8b", "a hash of higher priority was dropped");
  unless(!after.deactivated && after.portable && after.witness === before.after.witness, "V8b", "only the key of highest priority may do this");
  return index;
}

const NO_WITNESS = "";
const isBoolean = (value) => typeof value === "boolean";
const areTexts = (value, countMax, charactersMax) =>
  Array.isArray(value) && value.length <= countMax && value.every((one) => isString(one) && lengthOf(one) <= charactersMax);

function isKeyList(value) {
  if (!areTexts(value, KEYS_MAX, 64) || new Set(value).size !== value.length) return false;
  value.forEach((key) => multikeyBytes(key, "ed25519"));
  return true;
}

/** The witnesses as a text that equals another when they do. */
function witnessText(value) {
  unless(value instanceof Map, "V13", "witness is no object");
  if (value.size === 0) return NO_WITNESS;
  const [threshold, listed] = [value.get("threshold"), value.get("witnesses")];
  unless(value.size === 2 && Array.isArray(listed) && listed.length >= 1 && listed.length <= WITNESSES_MAX, "V13", "malformed");
  for (const one of listed) {
    unless(one instanceof Map && one.size === 1 && isString(one.get("id")), "V13", "a witness has exactly an id");
    didKeyOf(`${one.get("id")}#${one.get("id").replace(/^did:key:/, "")}`);
  }
  unless(new Set(listed.map((one) => one.get("id"))).size === listed.length, "V13", "a witness is listed twice");
  unless(isInteger(1, listed.length)(threshold), "V13", "threshold");
  return writeJson(value);
}

// Parameter -> a check of its value; `witness` is read apart.
const KINDS = new Map([
  ["updateKeys", isKeyList],
  ["nextKeyHashes", (value) => areTexts(value, KEYS_MAX, 128)],
  ["watchers", (value) => areTexts(value, WATCHERS_MAX, 2_048)],
  ["portable", isBoolean],
  ["deactivated", isBoolean],
  ["ttl", isInteger(0, TTL_SECONDS_MAX)],
]);
const AT_FIRST = { updateKeys: [], nextKeyHashes: [], portable: false, deactivated: false, witness: NO_WITNESS };

function firstParameters(given) {
  unless(given.has("method"), "V2", "entry 1 names no method");
  unless(given.has("updateKeys"), "V1", "entry 1 names no updateKeys");
  unless(isMultihash(given.get("scid")), "V5", "entry 1 names no well-formed scid");
  return changed({ ...AT_FIRST, scid: given.get("scid") }, [...given].filter(([name]) => name !== "scid"));
}

function nextParameters(before, given) {
  unless(!given.has("scid"), "V5", "only entry 1 may name the scid");
  unless(given.get("portable") !== true || before.portable, "V1", "portable can only be set by entry 1");
  return changed(before, [...given]);
}

function changed(before, given) {
  const after = { ...before };
  for (const [name, value] of given) {
    if (name === "method") {
      unless(value === METHOD, "V2", "unknown method");
    } else if (name === "witness") {
      after.witness = witnessText(value);
    } else {
      unless(KINDS.has(name), "V1", `unknown parameter ${name.slice(0, 40)}`);
      unless(KINDS.get(name)(value), "V1", `${name} is of another kind`);
      after[name] = value;
    }
  }
  return after;
}
