// Base58 (bitcoin's alphabet), multihashes and Multikeys: payouts/ledger/multikey.py, server/core/canonical.py.

import { concat, startsWith } from "./bytes.js";
import { sha256 } from "./digest.js";
import { refuse } from "./refused.js";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const VALUES = new Map(Array.from(ALPHABET, (digit, value) => [digit, BigInt(value)]));
// Decoding takes quadratic time.
const CHARACTERS_MAX = 2_048;
const KEY_BYTES = 32;
const SHA2_256 = Uint8Array.of(0x12, 0x20);
const KINDS = { ed25519: Uint8Array.of(0xed, 1), x25519: Uint8Array.of(0xec, 1) };

/** The bytes of base58, or null when it is none. */
export function fromBase58(text) {
  if (text.length > CHARACTERS_MAX) return null;
  let number = 0n;
  for (const digit of text) {
    const value = VALUES.get(digit);
    if (value === undefined) return null;
    number = number * 58n + value;
  }
  const bytes = [];
  for (; number > 0n; number >>= 8n) bytes.unshift(Number(number & 255n));
  for (const digit of text) {
    if (digit !== "1") break;
    bytes.unshift(0);
  }
  return Uint8Array.from(bytes);
}

export function toBase58(data) {
  let number = data.reduce((whole, byte) => (whole << 8n) | BigInt(byte), 0n);
  let text = "";
  for (; number > 0n; number /= 58n) text = ALPHABET[Number(number % 58n)] + text;
  for (const byte of data) {
    if (byte !== 0) break;
    text = `1${text}`;
  }
  return text;
}

/** The bytes of base58btc multibase, or null. */
export const fromMultibase = (text) => (text.startsWith("z") ? fromBase58(text.slice(1)) : null);

/** The base58 of the SHA-256 multihash, as did:webvh writes it. */
export const multihash = async (data) => toBase58(concat(SHA2_256, await sha256(data)));

export function isMultihash(text) {
  if (typeof text !== "string" || !/^Qm[1-9A-HJ-NP-Za-km-z]{44}$/.test(text)) return false;
  const data = fromBase58(text);
  return data.length === SHA2_256.length + KEY_BYTES && startsWith(data, SHA2_256);
}

/** The 32 bytes of a Multikey of this kind (`ed25519`, `x25519`). */
export function multikeyBytes(text, kind) {
  const data = typeof text === "string" ? fromMultibase(text) : null;
  if (data === null || data.length !== KINDS[kind].length + KEY_BYTES || !startsWith(data, KINDS[kind])) {
    refuse("bad_key", `${String(text).slice(0, 80)} is no ${kind} Multikey`);
  }
  return data.subarray(KINDS[kind].length);
}
