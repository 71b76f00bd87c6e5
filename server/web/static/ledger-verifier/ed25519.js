// Ed25519 as every verifier of this ledger judges it: payouts/ledger/ed25519.py in the browser.
//
// Implementations disagree about odd signatures (C2SP CCTV). So one pre-check runs before the primitive: key, R and S written
// in their one way, no point of small order. The primitive is the browser's where it has one that passes a trial, else
// @noble/ed25519's point arithmetic. Both verify without cofactor, as libsodium does; noble's own verify does not.

import { concat, fromHex, isEqual, littleEndian, toUtf8 } from "./bytes.js";
import { sha512 } from "./digest.js";
import { refuse } from "./refused.js";
import { Point } from "../vendor/noble-ed25519/index.js";

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
// RFC 8032 5.1: the prime of the field and the order of the base point.
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const WITHOUT_SIGN = (1n << 255n) - 1n;
const SMALL_ORDER_Y = new Set([
  0n,
  1n,
  P - 1n,
  littleEndian(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
  littleEndian(fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
]);
// CCTV 305, 50 and 267: an ordinary one, one by a key of mixed order, and one that holds with the cofactor alone. A primitive
// that tells them apart judges as libsodium does.
const TRIAL = [
  {
    key: "ef75b20e7540e3dff77404193652ba2bd13df99c1508eee1515e27ae25f28076",
    message: "ed25519vectors 5",
    signature:
      "b62cf890de42c413b11b1411c9f01f1c4d77aa87ef182258d1251f69af2a350640657f1cb030f12543549bbabd848dc6403d354e7c99c4d0dcee9f63c9033b00",
    holds: true,
  },
  {
    key: "10eb7c3acfb2bed3e0d6ab89bf5a3d6afddd1176ce4812e38d9fd485058fdb1f",
    message: "ed25519vectors 5",
    signature:
      "b62cf890de42c413b11b1411c9f01f1c4d77aa87ef182258d1251f69af2a350608f32d206a7c0b7efa9a59e66546e8f1f599ef843fb502c9cc3c4ae8b7c11e05",
    holds: true,
  },
  {
    key: "ef75b20e7540e3dff77404193652ba2bd13df99c1508eee1515e27ae25f28076",
    message: "ed25519vectors 3",
    signature:
      "36684ea91032ba5b1dbab2d02f4debc74c3327f2b3802e2e4d371aa42b12b56b2d471882773a677af1e3824e757a33f8ddf7bbeaf3d28a09595eb8daa0d74a03",
    holds: false,
  },
];

function isGoodPoint(point) {
  const y = littleEndian(point) & WITHOUT_SIGN;
  return y < P && !SMALL_ORDER_Y.has(y);
}

/** Refuse a key at registration unless it is a canonical point of prime order. */
export function checkPublicKey(key) {
  if (key.length !== KEY_BYTES || !isGoodPoint(key)) refuse("bad_key");
  let point;
  try {
    point = Point.fromBytes(key);
  } catch {
    refuse("bad_key");
  }
  if (!point.isTorsionFree()) refuse("bad_key");
}

/** Refuse unless `signature` is the key's over `message`. */
export async function verify(key, message, signature) {
  if (key.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) refuse("bad_signature", "wrong length");
  if (!isGoodPoint(key) || !isGoodPoint(signature.subarray(0, KEY_BYTES))) {
    refuse("bad_signature", "a point is not canonical, or of small order");
  }
  if (littleEndian(signature.subarray(KEY_BYTES)) >= L) refuse("bad_signature", "S is not canonical");
  const { holds } = await primitive();
  if (!(await holds(key, message, signature))) refuse("bad_signature");
}

async function holdsInBrowser(key, message, signature) {
  try {
    const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
  } catch (error) {
    // A point that is on no curve; whether the browser knows the algorithm, the trial has told.
    if (error instanceof DOMException) return false;
    throw error;
  }
}

/** encode([S]B - [h]A) = R, bytes for bytes: RFC 8032 5.1.7 without the cofactor. */
export async function holdsByLibrary(key, message, signature) {
  const r = signature.subarray(0, KEY_BYTES);
  const h = littleEndian(await sha512(concat(r, key, message))) % L;
  const s = littleEndian(signature.subarray(KEY_BYTES));
  try {
    const hA = Point.fromBytes(key).multiplyUnsafe(h);
    const sB = Point.BASE.multiplyUnsafe(s);
    return isEqual(sB.subtract(hA).toBytes(), r);
  } catch {
    return false;
  }
}

async function passesTrial() {
  for (const { key, message, signature, holds } of TRIAL) {
    if ((await holdsInBrowser(fromHex(key), toUtf8(message), fromHex(signature))) !== holds) return false;
  }
  return true;
}

let chosen;

/** Which primitive judges here: `browser` or `library`, and its function. */
export function primitive() {
  chosen ??= passesTrial().then(
    (passed) => (passed ? { name: "browser", holds: holdsInBrowser } : { name: "library", holds: holdsByLibrary }),
    () => ({ name: "library", holds: holdsByLibrary }),
  );
  return chosen;
}
