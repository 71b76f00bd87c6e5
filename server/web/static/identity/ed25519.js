// Ed25519 and X25519 private keys: by the browser where it can, else by the library. A private key never leaves its closure.
//
// A signer is `multikey` (the public half) and `sign(message)`. The seed of one comes from the owner's words (mnemonic.js), or
// the key lies in this browser and cannot be read, only used (device.js).

import { concat, fromHex } from "../ledger-verifier/bytes.js";
import { toBase58 } from "../ledger-verifier/base58.js";
import { getPublicKeyAsync, signAsync } from "../vendor/noble-ed25519/index.js";

const ALGORITHM = { name: "Ed25519" };
// RFC 8410 section 7: PKCS#8 of a 32-byte Ed25519 key, up to the key.
const PKCS8 = fromHex("302e020100300506032b657004220420");
const ED25519_PUBLIC = Uint8Array.of(0xed, 1);
const X25519_PUBLIC = Uint8Array.of(0xec, 1);

export const multikeyOf = (key) => `z${toBase58(concat(ED25519_PUBLIC, key))}`;
export const boxMultikeyOf = (key) => `z${toBase58(concat(X25519_PUBLIC, key))}`;

/** The private key as the browser holds it, or null where the browser has no Ed25519. */
export async function importKey(seed, isExtractable = false) {
  try {
    return await crypto.subtle.importKey("pkcs8", concat(PKCS8, seed), ALGORITHM, isExtractable, ["sign"]);
  } catch (error) {
    if (error.name === "NotSupportedError") return null;
    throw error;
  }
}

export const signWith = async (key, message) => new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, message));

/** The signer of a 32-byte seed. */
export async function signerOf(seed) {
  const key = await importKey(seed);
  return {
    multikey: multikeyOf(await getPublicKeyAsync(seed)),
    sign: (message) => (key === null ? signAsync(message, seed) : signWith(key, message)),
  };
}
