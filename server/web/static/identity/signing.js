// What the owner signs beside her key log, to the byte as Python does: payout routes (server/identity/signing.py), and the Move for
// servers without key logs, for the day on which the old home is dead (server/identity/moverequests.py).

import { looseBase64, toBase64, toUtf8 } from "../ledger-verifier/bytes.js";
import { sha256 } from "../ledger-verifier/digest.js";
import { readDocument } from "../ledger-verifier/document.js";
import { parseJson, writeJson } from "../ledger-verifier/json.js";
import { Refused } from "../ledger-verifier/refused.js";
import { prove, timeText, toMap } from "./proving.js";

const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
const CONTEXT = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v2"];
const SIGNED_FOR_MS = 12 * 60 * 60 * 1_000;
const INBOXES_MAX = 20_000;
const URL_CHARACTERS_MAX = 2_048;
const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const PEM = /-----BEGIN PRIVATE KEY-----([\s\S]+?)-----END PRIVATE KEY-----/;
// Scheme, host and port in their one spelling (new URL judges them), path, query, fragment: server/core/hosts.py.
const ADDRESS = /^(https?:\/\/([a-z0-9.-]*[a-z0-9-]|\[[0-9a-f:]+\])(?::[0-9]+)?)([A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*)$/;

/** Where `debtor` is to pay: `sealed` to its `#instance-box`, signed with the `#user` key. The highest `seq` wins. */
export function payoutRoute({ scid, debtor, seq, sealed, signer, method, now }) {
  const route = toMap({ v: 1, scid, debtor, seq, sealed: toBase64(sealed), created: timeText(now) });
  return prove(route, { signer, method, now });
}

/** The old account's private key in the opened keys.sealed, wherever the PEM stands in it. */
export async function readRsaKey(text) {
  const found = PEM.exec(text.replaceAll("\\n", "\n"));
  if (found === null) throw new Refused("bad_move_requests", "There is no RSA private key in this file.");
  return crypto.subtle.importKey("pkcs8", looseBase64(found[1].replace(/\s/g, "")), RSA, false, ["sign"]);
}

const bad = (detail) => {
  throw new Refused("bad_move_requests", detail);
};

/** The newest document of `log` that names `actor` as the person's account. */
export function documentNaming(log, actor) {
  const documents = log.versions.map((version) => readDocument(version.entry.state)).reverse();
  return documents.find((document) => document.actor === actor) ?? bad("The key log does not say that this account was left.");
}

/** Origin and target of an address in its one spelling; null for any other text. */
function placeOf(text) {
  const found = text.length <= URL_CHARACTERS_MAX && URL.canParse(text) ? ADDRESS.exec(text) : null;
  if (found === null || new URL(text).origin !== found[1] || !/^([/?#]|$)/.test(found[3])) return null;
  const [target] = found[3].split("#");
  const [path] = target.split("?");
  const query = target.slice(path.length + 1);
  return { origin: found[1], host: found[1].split("://")[1], target: `${path || "/"}${query && `?${query}`}` };
}

/** What is to be signed after `log` moved from `oldActor` to its present home, as a Map. */
async function plan(log, { oldActor, keyId, inboxes }) {
  const { actor: newActor } = log.document;
  const before = documentNaming(log, oldActor);
  if (newActor === oldActor) bad("The key log does not say that this account was left.");
  if (placeOf(keyId)?.origin !== new URL(oldActor).origin || /["\\]/.test(keyId)) bad("The key belongs to another server than the old account.");
  if (inboxes.length > INBOXES_MAX || new Set(inboxes).size !== inboxes.length) bad(`At most ${INBOXES_MAX} inboxes can be told at once, each once.`);
  if (inboxes.some((inbox) => placeOf(inbox) === null)) bad("An inbox is not written the one way.");
  const digest = Array.from(await sha256(toUtf8(newActor)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const activity = { "@context": CONTEXT, id: `${oldActor}/moves/${digest}`, type: "Move", actor: oldActor, object: oldActor, target: newActor, to: [PUBLIC] };
  const userMethod = `${oldActor}#user-${before.user.number}`;
  return toMap({ v: 1, type: "MoveRequests", scid: log.scid, audience: new URL(newActor).origin, oldActor, newActor, keyId, userMethod, activity, inboxes });
}

/** What a new home asks to sign, held against the key log: nothing else than the move that the log tells is ever signed. */
export async function readMoveRequests(text, log) {
  const { value, hasDuplicates } = parseJson(text.trim());
  const isRight =
    !hasDuplicates && value instanceof Map && ["oldActor", "keyId"].every((name) => typeof value.get(name) === "string") &&
    Array.isArray(value.get("inboxes")) && value.get("inboxes").every((inbox) => typeof inbox === "string");
  if (!isRight) bad("These are no MoveRequests of version 1.");
  const expected = await plan(log, { oldActor: value.get("oldActor"), keyId: value.get("keyId"), inboxes: value.get("inboxes") });
  if (writeJson(expected) !== writeJson(value)) bad("The requests say something else than the key log.");
  return expected;
}

/**
 * The owner's answer, SignedMoveRequests: the Move with a proof by `signer`, the `#user` key that the old account listed, and, with
 * its RSA key, for each inbox the signature of the request that carries it (draft-cavage-http-signatures-12).
 */
export async function signMove(requests, { signer, actorKey, now }) {
  const body = writeJson(await prove(requests.get("activity"), { signer, method: requests.get("userMethod"), now }));
  const digest = toBase64(await sha256(toUtf8(body)));
  const date = new Date(now).toUTCString();
  const signatureFor = async (inbox) => {
    const { host, target } = placeOf(inbox);
    const lines = [`(request-target): post ${target}`, `host: ${host}`, `date: ${date}`, `digest: SHA-256=${digest}`];
    return toBase64(new Uint8Array(await crypto.subtle.sign(RSA, actorKey, toUtf8(lines.join("\n")))));
  };
  const signed = [];
  for (const inbox of actorKey ? requests.get("inboxes") : []) signed.push({ inbox, signature: await signatureFor(inbox) });
  const times = { date: timeText(now), expires: timeText(now + SIGNED_FOR_MS) };
  return toMap({ v: 1, type: "SignedMoveRequests", scid: requests.get("scid"), body, ...times, requests: signed });
}
