// From words to keys: server/identity/mnemonic.py in the browser. BIP39 sentences, SLIP-0010 for Ed25519.
//
// A list of words comes from whoever calls: the page fetches the one it needs, the offline tool carries all.

import { concat, toUtf8 } from "../ledger-verifier/bytes.js";
import { sha256 } from "../ledger-verifier/digest.js";
import { Refused } from "../ledger-verifier/refused.js";
import { boxPublic } from "./sealed.js";
import { boxMultikeyOf, signerOf } from "./ed25519.js";

const BITS_PER_WORD = 11n;
const WORDS_IN_LIST = 2_048;
const WORD_COUNTS = [12, 15, 18, 21, 24];
const SENTENCE_CHARACTERS_MAX = 1_024;
const ROUNDS = 2_048;
const HARDENED = 2 ** 31;
const PATH = /^m(?:\/[0-9]{1,10}')*$/;
const HMAC = { name: "HMAC", hash: "SHA-512" };
export const ENTROPY_BYTES = 32;

/** The 2,048 words in the text of a list. */
export function parseList(text) {
  const list = text.trim().split(/\s+/);
  if (list.length !== WORDS_IN_LIST) throw new Error(`a list of words has ${WORDS_IN_LIST}, not ${list.length}`);
  return list;
}

/** The words for 16 to 32 bytes of entropy. */
export async function makeWords(entropy, list) {
  const checksumBits = BigInt(entropy.length / 4);
  const [first] = await sha256(entropy);
  let number = entropy.reduce((whole, byte) => (whole << 8n) | BigInt(byte), 0n);
  number = (number << checksumBits) | (BigInt(first) >> (8n - checksumBits));
  const words = [];
  for (let left = Math.floor((entropy.length * 8) / Number(BITS_PER_WORD)) + 1; left > 0; left -= 1) {
    words.unshift(list[Number(number & BigInt(WORDS_IN_LIST - 1))]);
    number >>= BITS_PER_WORD;
  }
  return words;
}

/** How a language writes its words as one sentence. */
export const sentenceOf = (words, language) => words.join(language === "japanese" ? "\u3000" : " ");

// BIP39 hashes the NFKD form: without it a French or Japanese sentence typed elsewhere opens another identity.
const spoken = (sentence) => {
  if (Array.from(sentence).length > SENTENCE_CHARACTERS_MAX) throw new Refused("bad_words");
  return sentence.toLowerCase().normalize("NFKD").trim().split(/\s+/u);
};

/** The entropy that a sentence means in one of the `lists` (language -> words). Refuses `bad_words`. */
export async function readWords(sentence, lists) {
  const words = spoken(sentence);
  const readings = new Map();
  for (const [language, list] of Object.entries(lists)) {
    const entropy = await reading(words, list);
    if (entropy !== null) readings.set(entropy.join(), { entropy, language });
  }
  const [found] = readings.values();
  if (readings.size !== 1) throw new Refused("bad_words", readings.size > 1 ? "valid in more than one language" : "not a valid recovery sentence");
  return found;
}

async function reading(words, list) {
  if (!WORD_COUNTS.includes(words.length)) return null;
  const places = new Map(list.map((word, place) => [word.normalize("NFKD"), place]));
  if (!words.every((word) => places.has(word))) return null;
  const number = words.reduce((whole, word) => (whole << BITS_PER_WORD) | BigInt(places.get(word)), 0n);
  const checksumBits = BigInt(words.length / 3);
  const entropy = new Uint8Array((words.length / 3) * 4);
  for (let at = entropy.length - 1, left = number >> checksumBits; at >= 0; at -= 1, left >>= 8n) entropy[at] = Number(left & 255n);
  const [first] = await sha256(entropy);
  return (number & ((1n << checksumBits) - 1n)) === BigInt(first) >> (8n - checksumBits) ? entropy : null;
}

/** The 64-byte BIP39 seed of a sentence that was read already. */
export async function seedOf(sentence, passphrase = "") {
  const password = await crypto.subtle.importKey("raw", toUtf8(spoken(sentence).join(" ")), "PBKDF2", false, ["deriveBits"]);
  const salt = toUtf8(`mnemonic${passphrase.normalize("NFKD")}`);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-512", salt, iterations: ROUNDS }, password, 512));
}

async function node(key, data) {
  const hmac = await crypto.subtle.importKey("raw", key, HMAC, false, ["sign"]);
  const digest = new Uint8Array(await crypto.subtle.sign(HMAC, hmac, data));
  return { key: digest.slice(0, 32), chainCode: digest.slice(32) };
}

/** The SLIP-0010 node at a path such as `m/0'/3'`: `key` and `chainCode`. */
export async function derive(seed, path) {
  if (!PATH.test(path)) throw new RangeError("a path is m, or m/0'/1' with hardened steps only");
  let here = await node(toUtf8("ed25519 seed"), seed);
  for (const step of path.split("/").slice(1)) {
    const index = Number.parseInt(step, 10);
    if (index >= HARDENED) throw new RangeError("a child's index lies below 2^31");
    const number = new Uint8Array(4);
    new DataView(number.buffer).setUint32(0, index + HARDENED);
    here = await node(here.chainCode, concat(Uint8Array.of(0), here.key, number));
  }
  return here;
}

/** The signer of the n-th paper key, with which log entries are signed. */
export const paperKey = async (seed, number) => signerOf((await derive(seed, `m/0'/${number}'`)).key);

/** The signer of the n-th `#user` key. */
export const userKey = async (seed, number) => signerOf(await userSeed(seed, number));

/** The n-th `#user` key itself, for the browser to keep where nobody can read it (device.js). */
export const userSeed = async (seed, number) => (await derive(seed, `m/1'/${number}'`)).key;

/** The X25519 `#box` key: `key` (private) and `multikey`. */
export async function boxKey(seed) {
  const { key } = await derive(seed, "m/2'");
  return { key, multikey: boxMultikeyOf(boxPublic(key)) };
}
