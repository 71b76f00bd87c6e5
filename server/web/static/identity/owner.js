// What the holder of the words does to her identity: server/identity/owner.py. Each is one entry, signed with the paper key that
// the log committed to; the next paper key is committed to in the same entry.

import { Refused } from "../ledger-verifier/refused.js";
import { paperKey, userKey, boxKey } from "./mnemonic.js";
import { prove, timeText, toMap } from "./proving.js";
import { append, keyHash, movedDocument, ownedDocument } from "./writing.js";

const GRANT_SECONDS = 15 * 60;

/** Where the words of `seed` stand in a log: `paper` (number, signer, place), `user` (number, signer) or null, `box`. */
export async function standing(log, seed) {
  const hashes = log.head.after.nextKeyHashes;
  let paper = null;
  let user = null;
  // Each entry spends at most one key of a kind.
  for (let number = 0; number <= log.versions.length && (paper === null || user === null); number += 1) {
    const signer = await paperKey(seed, number);
    const place = hashes.indexOf(await keyHash(signer.multikey));
    if (paper === null && place >= 0) paper = { number, signer, place };
    const candidate = await userKey(seed, number);
    if (candidate.multikey === log.document.user.multikey) user = { number, signer: candidate };
  }
  return { paper, user, box: await boxKey(seed) };
}

/** The signer of the `#user` key in `multikey`, one of the numbers that `log` can have used; null when the words have another. */
export async function userSigner(log, seed, multikey) {
  for (let number = 0; number <= log.versions.length; number += 1) {
    const signer = await userKey(seed, number);
    if (signer.multikey === multikey) return signer;
  }
  return null;
}

async function committed(log, seed) {
  const found = await standing(log, seed);
  if (found.paper === null) throw new Refused("not_committed", "these words do not hold the next key of this identity");
  const next = await keyHash((await paperKey(seed, found.paper.number + 1)).multikey);
  return { ...found, next };
}

/** Spend the paper key and commit to the next one; nothing else changes. Keys of lower priority are dropped. */
export async function rotate(log, { seed, now }) {
  const { paper, next } = await committed(log, seed);
  return append(log, { state: log.head.entry.state, signer: paper.signer, nextKeys: [next], now });
}

/** Take the identity back: a new `#user` key, custody with the owner, all keys of lower priority dropped. */
export async function recover(log, { seed, now }) {
  const { paper, user, box, next } = await committed(log, seed);
  const fresh = await userKey(seed, user === null ? 0 : user.number + 1);
  const document = ownedDocument(log.document, { userKey: fresh.multikey, boxKey: box.multikey });
  return append(log, { document, signer: paper.signer, nextKeys: [next], now });
}

const OFFER_MEMBERS = ["v", "type", "nonce", "scid", "audience", "actor", "acct", "did", "homeKey", "userKey", "rootKeyHash"];

/** A new home's offer, read strictly: what it gave for download, or what stands at `<actor>/move-offer`. */
export function readOffer(value) {
  const isRight =
    value !== null && typeof value === "object" && Object.keys(value).length === OFFER_MEMBERS.length &&
    OFFER_MEMBERS.every((name) => name === "v" || typeof value[name] === "string") && value.v === 1 && value.type === "HomeOffer" &&
    value.actor.startsWith(`${value.audience}/`) && value.did.startsWith(`did:webvh:${value.scid}:`);
  if (!isRight) throw new Refused("bad_offer", "this is not the offer of a new home");
  return value;
}

/**
 * Move to the home of `offer`: the log with the entry that says so, and the HostGrant for it. With `withRecovery` the new home
 * may help by e-mail when the words are lost; its key comes after the paper key and can never evict it.
 */
export async function move(log, { seed, offer, now, withRecovery = false }) {
  if (offer.scid !== log.scid) throw new Refused("wrong_identity", "this offer is for another identity");
  const { paper, user, next } = await committed(log, seed);
  if (user === null) throw new Refused("wrong_key", "the identity has another #user key than these words; recover it first");
  const document = movedDocument(log.document, { did: offer.did, actor: offer.actor, acct: offer.acct, key: offer.homeKey });
  const nextKeys = withRecovery ? [next, offer.rootKeyHash] : [next];
  const moved = await append(log, { document, signer: paper.signer, nextKeys, now });
  return { log: moved, grant: await hostGrant(moved, { audience: offer.audience, nonce: offer.nonce, signer: user.signer, now }) };
}

/** The grant for the home that the newest entry names: docs/reference/host-grant.md. */
export async function hostGrant(log, { audience, nonce, signer, now }) {
  const { did, user, home, actor } = log.document;
  const grant = toMap({
    type: "HostGrant",
    v: 1,
    scid: log.scid,
    versionId: log.head.entry.versionId,
    audience,
    homeKey: home.multikey,
    actor,
    nonce,
    expires: timeText(now + GRANT_SECONDS * 1_000),
  });
  return prove(grant, { signer, method: `${did}#user-${user.number}`, now });
}
