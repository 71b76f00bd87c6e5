// Data Integrity proofs of the cryptosuite eddsa-jcs-2022: server/core/proofs.py.

import { fromMultibase, multikeyBytes } from "./base58.js";
import { concat, toUtf8 } from "./bytes.js";
import { sha256 } from "./digest.js";
import { verify } from "./ed25519.js";
import { isDate, isString } from "./fields.js";
import { writeJson } from "./json.js";
import { refuse } from "./refused.js";

const REQUIRED = ["type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue"];
const OPTIONAL = ["id", "created"];
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(Z|[+-](\d\d):(\d\d))$/;
const DID_KEY = /^did:key:([^#]*)#(.*)$/s;

const bad = (detail) => refuse("bad_signature", detail);

/** Refuse unless `proof` is one of the canonical bytes `data` by `key`. No proof of ours may expire or carry a context. */
export async function verifyCanonical(data, proof, key) {
  if (!REQUIRED.every((name) => proof.has(name))) bad("the proof lacks a member");
  if (![...proof.keys()].every((name) => REQUIRED.includes(name) || OPTIONAL.includes(name))) bad("the proof has an unknown member");
  if (![...proof.values()].every(isString)) bad("the proof's members must be text");
  if (proof.get("type") !== "DataIntegrityProof" || proof.get("cryptosuite") !== "eddsa-jcs-2022") {
    bad("only DataIntegrityProof with eddsa-jcs-2022 is accepted");
  }
  if (proof.get("proofPurpose") !== "assertionMethod") bad("the proof's purpose must be assertionMethod");
  if (proof.has("created") && !isDateTime(proof.get("created"))) bad("created is no dateTimeStamp");
  const signature = fromMultibase(proof.get("proofValue"));
  if (signature === null) bad("proofValue is not base58btc multibase");
  const config = new Map([...proof].filter(([name]) => name !== "proofValue"));
  // vc-di-eddsa 3.3.4: the hash of the proof's configuration, then the hash of the document.
  const hashes = await Promise.all([sha256(toUtf8(writeJson(config))), sha256(data)]);
  await verify(key, concat(...hashes), signature);
}

/** The Multikey X of `did:key:X#X`. */
export function didKeyOf(method) {
  const found = isString(method) ? DID_KEY.exec(method) : null;
  if (found === null || found[1] !== found[2]) bad("the verification method is no did:key whose parts agree");
  multikeyBytes(found[1], "ed25519");
  return found[1];
}

/** XML Schema dateTimeStamp, a moment that exists. */
function isDateTime(text) {
  const found = DATE_TIME.exec(text);
  if (found === null) return false;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const isNear = found[7] === "Z" || (Number(found[8]) < 24 && Number(found[9]) < 60);
  const moment = Date.parse(text.replace(/\.\d+/, ""));
  return isDate(year, month, day) && hour < 24 && minute < 60 && second < 60 && isNear && EARLIEST <= moment && moment <= LATEST;
}

// What Python's datetime can hold once the zone is taken off.
const EARLIEST = Date.parse("0001-01-01T00:00:00Z");
const LATEST = Date.parse("9999-12-31T23:59:59Z");
