// Signed notes (C2SP signed-note) and their keys: payouts/ledger/note.py.

import {
  bigEndian, compareTexts, concat, fromBase64, fromUtf8, looseBase64, toBase64, toHex, toUtf8,
} from "./bytes.js";
import { sha256 } from "./digest.js";
import { checkPublicKey, verify } from "./ed25519.js";
import { refuse } from "./refused.js";

export const ED25519 = 1;
export const COSIGNATURE = 4;
// Read where C2SP has it; without a primitive such a key never counts (ledger-format.md, 11).
export const ML_DSA_44 = 6;
const KEY_BYTES = new Map([[ED25519, 32], [COSIGNATURE, 32], [ML_DSA_44, 1312]]);
const NOTE_BYTES_MAX = 65_536;
const SIGNATURES_MAX = 100;
const KEY_ID_BYTES = 4;
const TIMESTAMP_BYTES = 8;
// White space as Python's \s means it; JavaScript's \s has other members.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const NAME = new RegExp(`^[^${SPACE}+]+$`, "u");
const VKEY = new RegExp(`^([^${SPACE}+]+)\\+([0-9a-f]{8})\\+([A-Za-z0-9+/]+={0,2})$`, "u");
const LINE = /^\u2014 ([^ ]+) (([A-Za-z0-9+/]+)(={0,2}))$/u;

/** The key that `name+id+base64` says, checked as keys are at registration. `text` is its only spelling. */
export async function parseVkey(text) {
  const found = VKEY.exec(text);
  if (found === null) refuse("bad_key", `${text.slice(0, 80)} is no verifier key`);
  const [, name, id, base64] = found;
  let data;
  try {
    data = fromBase64(base64);
  } catch {
    refuse("bad_key", "not base64");
  }
  const [algorithm] = data;
  const key = data.subarray(1);
  if (!KEY_BYTES.has(algorithm)) refuse("unsupported_algorithm", `algorithm ${algorithm}`);
  const rightId = toHex((await sha256(concat(toUtf8(`${name}\n`), data))).subarray(0, KEY_ID_BYTES));
  if (key.length !== KEY_BYTES.get(algorithm) || rightId !== id) refuse("bad_key", "the key id is not that of the key");
  if (algorithm !== ML_DSA_44) checkPublicKey(key);
  return { name, id, algorithm, key, text };
}

/** Keys without repetitions, sorted by their text. */
export const sortedKeys = (keys) =>
  [...new Map(keys.map((key) => [key.text, key])).values()].sort((one, other) => compareTexts(one.text, other.text));

/**
 * The text of a note and its signatures by `keys`, all of which must verify.
 * `onlyKnown` refuses signatures of other keys; else they are ignored, as C2SP asks.
 */
export async function openNote(data, keys, onlyKnown) {
  const { text, lines } = splitNote(data);
  const judged = keys.filter((key) => key.algorithm !== ML_DSA_44);
  const known = new Map(judged.map((key) => [`${key.name}+${key.id}`, key]));
  const verified = new Map();
  for (const line of lines) {
    const key = known.get(`${line.name}+${toHex(line.signed.subarray(0, KEY_ID_BYTES))}`);
    if (key === undefined) {
      if (onlyKnown) refuse("unknown_signature", line.name);
      continue;
    }
    if (verified.has(key.text)) refuse("duplicate_signature", line.name);
    if (toBase64(line.signed) !== line.base64) refuse("bad_signature", "padding bits that are not zero");
    const timestamp = await verifySignature(key, text, line.signed.subarray(KEY_ID_BYTES));
    verified.set(key.text, { key, timestamp });
  }
  if (verified.size === 0) refuse("no_known_signature");
  return { text, signatures: [...verified.values()] };
}

/** The time of a signature in seconds since 1970, 0 for a key that says none. */
async function verifySignature(key, text, signed) {
  if (key.algorithm === ED25519) {
    await verify(key.key, toUtf8(text), signed);
    return 0n;
  }
  const timestamp = bigEndian(signed.subarray(0, TIMESTAMP_BYTES));
  if (timestamp >= 1n << 63n) refuse("bad_signature", "the time of a cosignature is beyond 2^63 - 1");
  await verify(key.key, toUtf8(`cosignature/v1\ntime ${timestamp}\n${text}`), signed.subarray(TIMESTAMP_BYTES));
  return timestamp;
}

function splitNote(data) {
  if (data.length > NOTE_BYTES_MAX) refuse("malformed_note", `${data.length} bytes`);
  let note;
  try {
    note = fromUtf8(data);
  } catch {
    refuse("malformed_note", "not UTF-8");
  }
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) refuse("malformed_note", "a control character");
  const blank = note.lastIndexOf("\n\n");
  if (blank === -1 || !note.slice(blank + 2).endsWith("\n")) {
    refuse("malformed_note", "no blank line before the signatures, or no newline after them");
  }
  const lines = note.slice(blank + 2, -1).split("\n");
  if (lines.length > SIGNATURES_MAX) refuse("malformed_note", `${lines.length} signatures`);
  return { text: `${note.slice(0, blank)}\n`, lines: lines.map(splitLine) };
}

function splitLine(line) {
  const found = LINE.exec(line);
  if (found === null || !NAME.test(found[1])) refuse("malformed_note", `${line.slice(0, 80)} is no signature line`);
  const [, name, base64] = found;
  // Decoders disagree about padding that nothing asks for.
  if (base64.length % 4 !== 0) refuse("malformed_note", "a signature is not base64");
  const signed = looseBase64(base64);
  if (signed.length <= KEY_ID_BYTES) refuse("malformed_note", "a signature is empty");
  return { name, signed, base64 };
}

