// What the owner signs beside her key log: server/identity/signing.py, to the byte. Payout routes, and the Move that servers without
// key logs understand, for the day on which the old home is dead.

import { looseBase64, toBase64, toUtf8 } from "../ledger-verifier/bytes.js";
import { sha256 } from "../ledger-verifier/digest.js";
import { writeJson } from "../ledger-verifier/json.js";
import { Refused } from "../ledger-verifier/refused.js";
import { prove, timeText, toMap } from "./proving.js";

const CONTEXT = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v1"];
const COVERED = ["(request-target)", "host", "date", "digest"];
const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const PEM = /-----BEGIN PRIVATE KEY-----([\s\S]+?)-----END PRIVATE KEY-----/;

/** Where `debtor` is to pay: `sealed` to its `#instance-box`, signed with the `#user` key. The highest `seq` wins. */
export function payoutRoute({ scid, debtor, seq, sealed, signer, method, now }) {
  const route = toMap({ v: 1, scid, debtor, seq, sealed: toBase64(sealed), created: timeText(now) });
  return prove(route, { signer, method, now });
}

/** The Move from the actor `old` to `next`. Its context is a list, to which Mastodon holds a proof's. */
export const moveActivity = (old, next) =>
  toMap({ "@context": CONTEXT, id: `${old}#moves/${next}`, type: "Move", actor: old, object: old, target: next, to: [`${old}/followers`] });

/** T3: the activity with a FEP-8b32 proof by a key that the old actor listed. */
export const withProof = (activity, { signer, method, now }) => prove(activity, { signer, method, now });

/** The actor's private key in the opened keys.sealed, wherever the PEM stands in it. */
export async function readRsaKey(text) {
  const found = PEM.exec(text.replaceAll("\\n", "\n"));
  if (found === null) throw new Refused("invalid", "There is no RSA private key in this file.");
  return crypto.subtle.importKey("pkcs8", looseBase64(found[1].replace(/\s/g, "")), RSA, false, ["sign"]);
}

/** T1: the request that carries `activity` to one inbox, signed (draft-cavage-http-signatures-12). Good for some hours. */
export async function signedRequest(activity, { inbox, key, keyId, now }) {
  const { pathname, search, host } = new URL(inbox);
  const body = writeJson(activity);
  const values = {
    "(request-target)": `post ${pathname}${search}`,
    host,
    date: new Date(now).toUTCString(),
    digest: `SHA-256=${toBase64(await sha256(toUtf8(body)))}`,
  };
  const message = COVERED.map((name) => `${name}: ${values[name]}`).join("\n");
  const signature = toBase64(new Uint8Array(await crypto.subtle.sign(RSA, key, toUtf8(message))));
  const header = `keyId="${keyId}",algorithm="rsa-sha256",headers="${COVERED.join(" ")}",signature="${signature}"`;
  const headers = { Host: host, Date: values.date, Digest: values.digest, "Content-Type": "application/activity+json", Signature: header };
  return toMap({ method: "POST", url: inbox, headers, body });
}
