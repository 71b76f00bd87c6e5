// Writing key logs: server/identity/keylog/append.py and changes.py. What is written is judged by the verifier before it is handed
// out, and it is the same bytes as Python writes.
//
// A log is `lines` and `versions` (as ledger-verifier/keylog.js reads them), `scid`, `head`, `document` (of the head).

import { multihash } from "../ledger-verifier/base58.js";
import { toUtf8 } from "../ledger-verifier/bytes.js";
import { buildDocument, readDocument } from "../ledger-verifier/document.js";
import { parseJson, writeJson } from "../ledger-verifier/json.js";
import { readLog } from "../ledger-verifier/keylog.js";
import { Refused } from "../ledger-verifier/refused.js";
import { createProof, timeText, toMap } from "./proving.js";

const PLACEHOLDER = "{SCID}";
const ALIASES_MAX = 64;
const SECOND_MS = 1_000;

/** What `nextKeyHashes` lists for an update key that is still secret. */
export const keyHash = (multikey) => multihash(toUtf8(multikey));

/** The log in the text of a did.jsonl, verified. Refuses `bad_identity_log`. */
export async function openLog(text, now) {
  const lines = text.replace(/\n$/, "").split("\n");
  let versions;
  try {
    versions = await readLog(lines, now);
  } catch (error) {
    throw new Refused("bad_identity_log", error.message);
  }
  const head = versions[versions.length - 1];
  return { lines, versions, head, scid: head.after.scid, document: readDocument(head.entry.state) };
}

export const logText = (log) => log.lines.map((line) => `${line}\n`).join("");

/** A new identity. `document.did` carries {SCID}; `signer` signs entry 1; `nextKeys` are hashes, highest priority first. */
export async function genesis({ document, signer, nextKeys, now }) {
  const draft = toMap({
    versionId: PLACEHOLDER,
    versionTime: timeText(now),
    parameters: { method: "did:webvh:1.0", scid: PLACEHOLDER, updateKeys: [signer.multikey], nextKeyHashes: nextKeys, portable: true },
    state: buildDocument(document),
  });
  const template = writeJson(draft);
  const scid = await multihash(toUtf8(template));
  const filled = template.replaceAll(PLACEHOLDER, scid);
  const entry = parseJson(filled).value;
  // The versionId now holds the SCID, which is the predecessor of entry 1.
  entry.set("versionId", `1-${await multihash(toUtf8(filled))}`);
  return openLog(await signEntry(entry, signer, now), now);
}

/** The next entry without its proof, for the key `updateKey` to sign. Refuses `not_committed`. */
export async function draftEntry(log, { document, state, updateKey, nextKeys, now }) {
  const { entry, after } = log.head;
  const place = after.nextKeyHashes.indexOf(await keyHash(updateKey));
  if (place < 0) throw new Refused("not_committed", "the last entry of this log does not know this key");
  // Two entries within one second: versionTime must grow, and may run ahead of the clock a little.
  const time = timeText(Math.max(now, Date.parse(entry.time) + SECOND_MS));
  const parameters = toMap({ updateKeys: [updateKey], nextKeyHashes: [...after.nextKeyHashes.slice(0, place), ...nextKeys] });
  const draft = new Map([
    ["versionId", entry.versionId],
    ["versionTime", time],
    ["parameters", parameters],
    ["state", state ?? buildDocument(document)],
  ]);
  draft.set("versionId", `${entry.number + 1}-${await multihash(toUtf8(writeJson(draft)))}`);
  return draft;
}

/** The line for a drafted entry. */
export async function signEntry(entry, signer, now) {
  const proof = await createProof(entry, { signer, method: `did:key:${signer.multikey}#${signer.multikey}`, now });
  return writeJson(new Map([...entry, ["proof", [proof]]]));
}

/** `log` with one more entry, signed. */
export async function append(log, { signer, now, ...draft }) {
  const line = await signEntry(await draftEntry(log, { ...draft, updateKey: signer.multikey, now }), signer, now);
  return openLog([...log.lines, line].join("\n"), now);
}

/** The key of its kind that comes after `key`; it stays when it is the same. */
const after = (key, multikey) => (key?.multikey === multikey ? key : { number: (key?.number ?? 0) + 1, multikey });

/** The keys pass to the owner, or to her again: custody `owner`, her `#user` and `#box`. */
export const ownedDocument = (document, { userKey, boxKey }) => ({
  ...document,
  custody: "owner",
  user: after(document.user, userKey),
  box: after(document.box, boxKey),
});

/** The identity lives at `home` (`did`, `actor`, `acct`, `key`) from now on; the names before are kept. */
export function movedDocument(document, home) {
  const names = [...new Set([...document.prior, document.did, document.actor])];
  const prior = names.filter((name) => name !== home.did && name !== home.actor).slice(-(ALIASES_MAX - 2));
  return { ...document, did: home.did, actor: home.actor, acct: home.acct, prior, home: after(document.home, home.key) };
}
