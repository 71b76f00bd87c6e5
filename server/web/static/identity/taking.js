// The keys pass into the owner's hands: what the browser makes, what it sends (public keys and a proof), and what it checks before
// it believes. server/identity/custody.py is the other side.

import { Refused } from "../ledger-verifier/refused.js";
import { parseJson, writeJson } from "../ledger-verifier/json.js";
import { buildDocument } from "../ledger-verifier/document.js";
import { boxKey, paperKey, seedOf, userKey, userSeed } from "./mnemonic.js";
import { createProof } from "./proving.js";
import { draftEntry, keyHash, openLog, ownedDocument } from "./writing.js";

const FIRST = 0;

/** The keys of new words: `seed` and the public halves that are sent. */
export async function ownerKeys(sentence) {
  const seed = await seedOf(sentence);
  const [user, box, paper] = await Promise.all([userKey(seed, FIRST), boxKey(seed), paperKey(seed, FIRST)]);
  return { seed, user, userKey: user.multikey, boxKey: box.multikey, paperKeyHash: await keyHash(paper.multikey) };
}

/** The `#user` key itself, for device.js. */
export const deviceSeed = (keys) => userSeed(keys.seed, FIRST);

const refuse = (detail) => {
  throw new Refused("not_what_was_asked", detail);
};

/**
 * Check the entry that the server prepared for `log`, and prove that we hold its keys: the entry is the one that this browser would
 * write itself. Returns the proof as JSON text.
 */
export async function prove(log, entryText, { keys, withRecovery, now }) {
  const entry = parseJson(entryText).value;
  const hashes = entry.get("parameters")?.get("nextKeyHashes") ?? [];
  const [updateKey] = entry.get("parameters")?.get("updateKeys") ?? [];
  const place = log.head.after.nextKeyHashes.indexOf(await keyHash(String(updateKey)));
  const added = hashes.slice(place);
  if (place < 0 || added[0] !== keys.paperKeyHash || added.length !== (withRecovery ? 2 : 1)) refuse("the next keys are others");
  const document = ownedDocument(log.document, keys);
  const expected = await draftEntry(log, { document, updateKey, nextKeys: added, now: Date.parse(entry.get("versionTime")) });
  if (writeJson(expected) !== writeJson(entry)) refuse("the entry says something else");
  const method = `${document.did}#user-${document.user.number}`;
  return writeJson(await createProof(entry, { signer: keys.user, method, now }));
}

/** Believe that the keys are ours only when the whole log says so. Returns the log. */
export async function confirm(before, text, { keys, now }) {
  const log = await openLog(text, now);
  const { document, head } = log;
  const isOurs =
    log.scid === before.scid && log.versions.length === before.versions.length + 1 &&
    before.lines.every((line, at) => log.lines[at] === line) &&
    writeJson(buildDocument(document)) === writeJson(buildDocument(ownedDocument(before.document, keys))) &&
    head.after.nextKeyHashes[head.keyIndex] === keys.paperKeyHash;
  if (!isOurs) refuse("the log does not name our keys");
  return log;
}
