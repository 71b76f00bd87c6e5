// The encrypted key file of the recovery kit: docs/reference/recovery-kit.md, server/identity/keyfile.py. Words under a password.

import { fromBase64, fromUtf8, toBase64, toUtf8 } from "../ledger-verifier/bytes.js";
import { writeJson } from "../ledger-verifier/json.js";
import { Refused } from "../ledger-verifier/refused.js";
import { toMap } from "./proving.js";
import "../vendor/tweetnacl/nacl-fast.min.js";
import "../vendor/hash-wasm/argon2.umd.min.js";

const { nacl, hashwasm } = globalThis;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const MEMORY_KIB = 262_144;
const MEMORY_KIB_MAX = 1_048_576;
const PASSES = 3;
const PASSES_MAX = 10;
const MEMBERS = ["type", "v", "kdf", "memory_kib", "passes", "salt", "cipher", "nonce", "sealed"];

const keyOf = (password, { salt, memory_kib: memorySize, passes }) =>
  hashwasm.argon2id({
    password: toUtf8(password.normalize("NFKC")),
    salt,
    iterations: passes,
    parallelism: 1,
    memorySize,
    hashLength: KEY_BYTES,
    outputType: "binary",
  });

/** The key file, as text, for `secret` (`words`, `language`, `scid`). */
export async function lock(secret, password, given = {}) {
  const { salt, nonce, memory_kib } = {
    salt: crypto.getRandomValues(new Uint8Array(SALT_BYTES)),
    nonce: crypto.getRandomValues(new Uint8Array(nacl.secretbox.nonceLength)),
    memory_kib: MEMORY_KIB,
    ...given,
  };
  const { words, language, scid } = secret;
  const plain = toUtf8(writeJson(toMap({ words: words.normalize("NFKD"), language, scid })));
  const sealed = nacl.secretbox(plain, nonce, await keyOf(password, { salt, memory_kib, passes: PASSES }));
  return writeJson(toMap({
    type: "TributaryKeyFile",
    v: 1,
    kdf: "argon2id",
    memory_kib,
    passes: PASSES,
    salt: toBase64(salt),
    cipher: "xsalsa20-poly1305",
    nonce: toBase64(nonce),
    sealed: toBase64(sealed),
  }));
}

/** What is in a key file: `words`, `language`, `scid`. Refuses `bad_key_file`, `wrong_password`. */
export async function unlock(text, password) {
  const file = read(text);
  const key = await keyOf(password, file);
  const plain = nacl.secretbox.open(file.sealed, file.nonce, key);
  if (plain === null) throw new Refused("wrong_password", "This password does not open the kit.");
  return JSON.parse(fromUtf8(plain));
}

function read(text) {
  try {
    const file = JSON.parse(text);
    const { type, v, kdf, cipher, memory_kib: memory, passes } = file;
    const isWithin = (value, most) => Number.isInteger(value) && value >= 1 && value <= most;
    const isRight =
      Object.keys(file).length === MEMBERS.length && MEMBERS.every((name) => Object.hasOwn(file, name)) &&
      type === "TributaryKeyFile" && v === 1 && kdf === "argon2id" && cipher === "xsalsa20-poly1305" &&
      isWithin(memory, MEMORY_KIB_MAX) && isWithin(passes, PASSES_MAX);
    const [salt, nonce, sealed] = [file.salt, file.nonce, file.sealed].map(fromBase64);
    if (isRight && memory >= 8 && salt.length === SALT_BYTES && nonce.length === nacl.secretbox.nonceLength) {
      return { ...file, salt, nonce, sealed };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof Refused || error instanceof TypeError)) throw error;
  }
  throw new Refused("bad_key_file", "This is not a key file of version 1.");
}
