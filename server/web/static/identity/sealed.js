// Sealed boxes of libsodium (crypto_box_seal), to the `#box` key of an identity or of an instance. Held against PyNaCl.

import { concat } from "../ledger-verifier/bytes.js";
import { Refused } from "../ledger-verifier/refused.js";
import "../vendor/tweetnacl/nacl-fast.min.js";
import "../vendor/hash-wasm/blake2b.umd.min.js";

const { nacl, hashwasm } = globalThis;
const KEY_BYTES = 32;
const NONCE_BITS = 192;

/** The public half of a 32-byte X25519 key. */
export const boxPublic = (key) => nacl.scalarMult.base(key);

// libsodium: the nonce is the BLAKE2b hash, of 24 bytes, of both public keys.
async function nonceOf(sender, recipient) {
  const hasher = await hashwasm.createBLAKE2b(NONCE_BITS);
  return hasher.init().update(concat(sender, recipient)).digest("binary");
}

/** `data` for the holder of the X25519 key `recipient` alone. Who sealed it is not told. */
export async function seal(data, recipient) {
  const { publicKey, secretKey } = nacl.box.keyPair();
  return concat(publicKey, nacl.box(data, await nonceOf(publicKey, recipient), recipient, secretKey));
}

/** What was sealed to the private `key`. Refuses `not_for_this_key`. */
export async function open(sealed, key) {
  const sender = sealed.subarray(0, KEY_BYTES);
  const found = sealed.length < KEY_BYTES ? null : nacl.box.open(sealed.subarray(KEY_BYTES), await nonceOf(sender, boxPublic(key)), sender, key);
  if (found === null) throw new Refused("not_for_this_key", "this file was sealed to another key, or was changed");
  return found;
}
