// Bytes and their spellings: UTF-8, hex, base64, whole numbers. All arrays are Uint8Array.

import { refuse } from "./refused.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const BINARY_CHUNK = 8_192;

export const toUtf8 = (text) => encoder.encode(text);

/** The text of UTF-8; a TypeError for anything else. A byte order mark is a character like others. */
export const fromUtf8 = (data) => decoder.decode(data);

export const toHex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The bytes of hex that the caller has matched already. */
export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

export function toBase64(data) {
  let binary = "";
  for (let at = 0; at < data.length; at += BINARY_CHUNK) binary += String.fromCharCode(...data.subarray(at, at + BINARY_CHUNK));
  return btoa(binary);
}

/** The bytes of base64 as it is written once: padded, no spaces, no bits that nobody reads. */
export function fromBase64(text) {
  if (typeof text !== "string" || !BASE64.test(text)) refuse("bad_base64");
  const data = looseBase64(text);
  if (toBase64(data) !== text) refuse("bad_base64", "padding bits are not zero");
  return data;
}

/** The bytes of padded base64 that may have bits nobody reads. */
export const looseBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const isEqual = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

export const startsWith = (data, start) => data.length >= start.length && start.every((byte, at) => byte === data[at]);

export const bigEndian = (data) => data.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);

export const littleEndian = (data) => bigEndian(Uint8Array.from(data).reverse());

/** Order by code points, as UTF-8 and Python sort; JavaScript's own order differs beyond U+FFFF. */
export function compareTexts(one, other) {
  const left = Array.from(one);
  const right = Array.from(other);
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const difference = left[at].codePointAt(0) - right[at].codePointAt(0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** How many characters a text has; a pair of surrogates is one. */
export const lengthOf = (text) => Array.from(text).length;
