// The strict JSON profile of the ledger: payouts/ledger/canonical.py. Every value has one encoding; anything else is refused.

import { fromUtf8, toUtf8 } from "./bytes.js";
import { parseJson, writeJson } from "./json.js";
import { refuse } from "./refused.js";

const DEPTH_MAX = 6;
const ASCII = /^[\u0000-\u007f]*$/;
const HALF_A_PAIR = /[\ud800-\udfff]/u;

/** The canonical bytes of a value. */
export const encode = (value) => toUtf8(encodeText(value));

function encodeText(value) {
  const state = { half: false };
  check(value, 1, state);
  if (state.half) refuse("not_utf8", "half a surrogate pair");
  return writeJson(value);
}

/** The value of canonical bytes, of at most `bytesMax`. */
export function decode(data, bytesMax) {
  if (data.length > bytesMax) refuse("too_large", `${data.length} bytes, at most ${bytesMax}`);
  let text;
  try {
    text = fromUtf8(data);
  } catch {
    refuse("not_utf8");
  }
  const { value, hasDuplicates } = parseJson(text);
  if (encodeText(value) !== text) refuse(hasDuplicates ? "duplicate_key" : "not_canonical");
  return value;
}

function check(value, depth, state) {
  let members = value;
  if (value instanceof Map) {
    for (const name of value.keys()) if (!ASCII.test(name)) refuse("non_ascii_key", `member ${name}`);
    members = value.values();
  } else if (!Array.isArray(value)) {
    if (typeof value === "string" && !ASCII.test(value)) {
      if (value.normalize("NFC") !== value) refuse("not_nfc");
      state.half ||= HALF_A_PAIR.test(value);
    }
    return;
  }
  if (depth > DEPTH_MAX) refuse("too_deep");
  for (const member of members) check(member, depth + 1, state);
}
