// The instance's keys: what genesis lists, and which ledger key signs at which size: payouts/ledger/rotation.py.

import { fromBase64, isEqual } from "./bytes.js";
import { multikeyBytes } from "./base58.js";
import { encode } from "./canonical.js";
import { checkPublicKey, verify } from "./ed25519.js";
import { COSIGNATURE, ED25519, parseVkey } from "./note.js";
import { hostOf } from "./policy.js";
import { Refused, refuse } from "./refused.js";

export const ROTATE = "key.rotate";

/** `root` and `instance` (32 bytes) and the `ledger` key of the first entry of a log. */
export async function keysOfGenesis({ type, origin, body }) {
  if (type !== "genesis") refuse("bad_key", "the first entry is no genesis");
  const host = hostOf(origin);
  const names = [
    ["ledger", origin, ED25519],
    ["witness", `${host}/witness/1`, COSIGNATURE],
    ["auditor", `${host}/auditor/1`, COSIGNATURE],
    ["mirror", `${host}/mirror/1`, COSIGNATURE],
  ];
  const keys = [];
  for (const [member, name, algorithm] of names) {
    const key = await parseVkey(body.get(member));
    if (key.name !== name || key.algorithm !== algorithm) refuse("bad_key", `${member} is ${key.name}`);
    keys.push(key);
  }
  if (keys.some((one, at) => keys.slice(at + 1).some((other) => isEqual(one.key, other.key)))) {
    refuse("bad_key", "one key says one thing only");
  }
  const root = multikeyBytes(body.get("root"), "ed25519");
  const instance = multikeyBytes(body.get("instance"), "ed25519");
  multikeyBytes(body.get("box"), "x25519");
  checkPublicKey(root);
  checkPublicKey(instance);
  return { root, instance, ledger: keys[0] };
}

/** The key that signs a checkpoint over the genesis and these `key.rotate` entries, all there are, in order. */
export async function ledgerKeyAt(keys, rotations) {
  let current = keys.ledger;
  for (const entry of rotations) current = await keyAfter(keys.root, current, entry);
  return current;
}

async function keyAfter(root, current, { origin, index, body }) {
  const bad = (detail) => refuse("bad_rotation", `entry ${index}: ${detail}`);
  const [before, after] = [body.get("old"), body.get("new")];
  if (before !== current.text) bad("does not follow the key in use");
  let next;
  try {
    next = await parseVkey(after);
    const text = encode(["key.rotate/1", origin, before, after]);
    await verify(root, text, fromBase64(body.get("root_signature")));
    await verify(current.key, text, fromBase64(body.get("old_signature")));
    await verify(next.key, text, fromBase64(body.get("new_signature")));
  } catch (error) {
    if (error instanceof Refused) bad(error.code);
    throw error;
  }
  if (next.name !== origin || next.algorithm !== ED25519 || next.text === current.text) bad(`${next.name} cannot sign this log`);
  return next;
}
