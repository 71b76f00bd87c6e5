// Strict JSON. JSON.parse forgets what we must judge: names that stand twice, and how a number was written.
//
// Objects become Maps, so that a name like "__proto__" is only a name. Numbers are integers within 2^53 - 1.

import { refuse } from "./refused.js";

const INTEGER_CHARACTERS_MAX = 17;
// Python's own parser gives up about here; what is nested deeper is too deep for every rule.
const NESTED_MAX = 950;
const SPACE = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const HEX4 = /[0-9a-fA-F]{4}/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const WORDS = [["null", null], ["true", true], ["false", false]];
const NO_NUMBERS = ["NaN", "Infinity", "-Infinity"];

/** The value of one JSON text, and whether a name stood twice in an object (then the last one counts). */
export function parseJson(text) {
  const reader = new Reader(text);
  const value = reader.value(0);
  if (reader.at !== text.length) refuse("not_json", "something stands behind the value");
  return { value, hasDuplicates: reader.hasDuplicates };
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.hasDuplicates = false;
  }

  value(depth) {
    const letter = this.text[this.at];
    if (letter === '"') return this.string();
    if (letter === "{" || letter === "[") {
      if (depth >= NESTED_MAX) refuse("too_deep");
      return letter === "{" ? this.object(depth) : this.list(depth);
    }
    for (const [word, value] of WORDS) if (this.take(word)) return value;
    if (NO_NUMBERS.some((word) => this.text.startsWith(word, this.at))) refuse("float_refused");
    return this.number();
  }

  object(depth) {
    const members = new Map();
    this.at += 1;
    this.space();
    if (this.take("}")) return members;
    do {
      this.space();
      if (this.text[this.at] !== '"') refuse("not_json", "a member without a name");
      const name = this.string();
      this.space();
      if (!this.take(":")) refuse("not_json", "a name without a value");
      this.space();
      this.hasDuplicates ||= members.has(name);
      members.set(name, this.value(depth + 1));
      this.space();
    } while (this.take(","));
    if (!this.take("}")) refuse("not_json", "an object does not end");
    return members;
  }

  list(depth) {
    const values = [];
    this.at += 1;
    this.space();
    if (this.take("]")) return values;
    do {
      this.space();
      values.push(this.value(depth + 1));
      this.space();
    } while (this.take(","));
    if (!this.take("]")) refuse("not_json", "a list does not end");
    return values;
  }

  string() {
    let found = "";
    this.at += 1;
    for (;;) {
      found += this.match(PLAIN)[0];
      if (this.take('"')) return found;
      if (!this.take("\\")) refuse("not_json", "a string does not end, or has a control character");
      const letter = this.text[this.at];
      this.at += 1;
      if (letter === "u") {
        const code = this.match(HEX4);
        if (code === null) refuse("not_json", "an escape without four digits");
        found += String.fromCharCode(Number.parseInt(code[0], 16));
      } else if (letter !== undefined && Object.hasOwn(ESCAPES, letter)) {
        found += ESCAPES[letter];
      } else {
        refuse("not_json", "an escape that JSON does not have");
      }
    }
  }

  number() {
    const found = this.match(NUMBER);
    if (found === null) refuse("not_json", "no value");
    const [, digits, fraction, exponent] = found;
    if (fraction !== undefined || exponent !== undefined) refuse("float_refused", found[0].slice(0, 40));
    if (digits.length > INTEGER_CHARACTERS_MAX || !Number.isSafeInteger(Number(digits))) refuse("integer_too_large");
    return Number(digits);
  }

  space() {
    this.match(SPACE);
  }

  take(word) {
    const found = this.text.startsWith(word, this.at);
    if (found) this.at += word.length;
    return found;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }
}

/** The text of a value: sorted names (by UTF-16, as RFC 8785 says), nothing between. Within our numbers this is RFC 8785. */
export function writeJson(value) {
  if (value instanceof Map) {
    return `{${[...value.keys()].sort().map((name) => `${JSON.stringify(name)}:${writeJson(value.get(name))}`).join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
