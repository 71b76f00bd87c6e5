// The signing key of this browser: the `#user` key as a CryptoKey that can be used and not read, in IndexedDB, one for each identity.

import { importKey, multikeyOf, signWith } from "./ed25519.js";
import { getPublicKeyAsync } from "../vendor/noble-ed25519/index.js";

const DATABASE = "tributary";
const STORE = "keys";

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function database() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return asked(request);
}

async function inStore(mode, act) {
  const opened = await database();
  try {
    return await asked(act(opened.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    opened.close();
  }
}

/** Keep the 32-byte `seed` of the `#user` key of `scid` here. False where this browser cannot keep it unread. */
export async function keep(scid, seed) {
  const key = await importKey(seed);
  if (key === null) return false;
  const multikey = multikeyOf(await getPublicKeyAsync(seed));
  await inStore("readwrite", (store) => store.put({ key, multikey }, scid));
  return true;
}

/** The signer of `scid` that this browser keeps for the key `multikey`, or null. */
export async function signerFor(scid, multikey) {
  const found = await inStore("readonly", (store) => store.get(scid));
  if (found === undefined || found.multikey !== multikey) return null;
  return { multikey, sign: (message) => signWith(found.key, message) };
}

export const forget = (scid) => inStore("readwrite", (store) => store.delete(scid));

