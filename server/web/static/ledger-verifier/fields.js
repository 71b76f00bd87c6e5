// Flat checks of members that all documents of the ledger share: payouts/ledger/fields.py.

import { fromBase64 } from "./bytes.js";
import { refuse } from "./refused.js";

export const HASH_BYTES = 32;
export const ZERO_HASH = "0".repeat(64);
const TIME = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z$/;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export function checkMembers(document, members, name) {
  if (!(document instanceof Map)) refuse("bad_member", `${name} is no object`);
  const missing = members.filter((member) => !document.has(member));
  if (missing.length > 0) refuse("missing_member", `${name} lacks ${missing.sort().join(", ")}`);
  const unknown = [...document.keys()].filter((member) => !members.includes(member));
  if (unknown.length > 0) refuse("unknown_member", `${name} has ${unknown.sort().join(", ")}`);
}

export function checkVersion(document) {
  if (document.get("v") !== 1) refuse("unknown_version", `v is ${document.get("v")}`);
}

export const isString = (value) => typeof value === "string";

/** A check for texts that match the whole pattern. */
export function isText(pattern) {
  const whole = new RegExp(`^(?:${pattern})$`, "u");
  return (value) => isString(value) && whole.test(value);
}

export const isInteger = (least = 0, most = Number.MAX_SAFE_INTEGER) => (value) =>
  Number.isSafeInteger(value) && least <= value && value <= most;

export const isList = (check, countMax, countMin = 0) => (value) =>
  Array.isArray(value) && countMin <= value.length && value.length <= countMax && value.every((one) => check(one));

/** Whether every value is greater than the one before. For numbers and ASCII texts. */
export const isAscending = (values) => values.every((value, at) => at === 0 || values[at - 1] < value);

export const isHexHash = isText("[0-9a-f]{64}");

/** Whether the value is a real time of the form YYYY-MM-DDTHH:MM:SSZ. */
export function isTime(value) {
  const found = isString(value) ? TIME.exec(value) : null;
  if (found === null) return false;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  return isDate(year, month, day) && hour < 24 && minute < 60 && second < 60;
}

export function isDate(year, month, day) {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= DAYS[month - 1] + (month === 2 && isLeap ? 1 : 0);
}

export function checkTime(value) {
  if (!isTime(value)) refuse("bad_time", `${value} is no time`);
  return value;
}

export function hashFromBase64(text) {
  const data = fromBase64(text);
  if (data.length !== HASH_BYTES) refuse("bad_hash", `${data.length} bytes`);
  return data;
}

export function hashesFromBase64(texts, countMax) {
  if (!Array.isArray(texts) || texts.length > countMax) refuse("bad_member", "proof is no list, or longer than any proof");
  return texts.map(hashFromBase64);
}
