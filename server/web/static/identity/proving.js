// Making eddsa-jcs-2022 proofs: server/core/proofs.py, `create_proof`. Documents are Maps, as ledger-verifier/json.js reads them.

import { toBase58 } from "../ledger-verifier/base58.js";
import { concat, toUtf8 } from "../ledger-verifier/bytes.js";
import { sha256 } from "../ledger-verifier/digest.js";
import { writeJson } from "../ledger-verifier/json.js";

/** Plain objects as Maps, all the way down. */
export function toMap(value) {
  if (Array.isArray(value)) return value.map(toMap);
  if (value === null || typeof value !== "object" || value instanceof Map) return value;
  return new Map(Object.entries(value).map(([name, one]) => [name, toMap(one)]));
}

/** `YYYY-MM-DDTHH:MM:SSZ` of milliseconds. */
export const timeText = (now) => `${new Date(now).toISOString().slice(0, 19)}Z`;

/** The proof of `document` (a Map without its own), by `signer`, whose key the verification `method` names. */
export async function createProof(document, { signer, method, now }) {
  const config = new Map([
    ["type", "DataIntegrityProof"],
    ["cryptosuite", "eddsa-jcs-2022"],
    ["verificationMethod", method],
    ["proofPurpose", "assertionMethod"],
    ["created", timeText(now)],
  ]);
  // vc-di-eddsa 3.3.1: a document with a context hands it to its proof.
  if (document.has("@context")) config.set("@context", document.get("@context"));
  const hashes = await Promise.all([config, document].map((one) => sha256(toUtf8(writeJson(one)))));
  const signature = await signer.sign(concat(...hashes));
  return new Map([...config, ["proofValue", `z${toBase58(signature)}`]]);
}

/** `document` with its proof. */
export const prove = async (document, options) => new Map([...document, ["proof", await createProof(document, options)]]);
