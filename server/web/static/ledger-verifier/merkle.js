// RFC 6962 trees: hashes, roots, inclusion, consistency and range proofs: payouts/ledger/merkle.py and ranges.py.
//
// Sizes and indices are BigInt, for they go to 2^63 - 1. A check returns nothing; hashes that are not needed are refused.

import { concat, isEqual, toUtf8 } from "./bytes.js";
import { sha256 } from "./digest.js";
import { HASH_BYTES } from "./fields.js";
import { refuse } from "./refused.js";

export const SIZE_MAX = 2n ** 63n - 1n;
export const PROOF_HASHES_MAX = 63;
export const RANGE_PROOF_HASHES_MAX = 126;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

// RFC 6962 2.1: leaves begin with 0x00, nodes with 0x01; else a node could pass for a leaf.
export const leafHash = (data) => sha256(concat(LEAF, data));

export const nodeHash = (left, right) => sha256(concat(NODE, left, right));

/** How many of `size` > 1 leaves stand in the left subtree: the largest power of two below `size`. */
const split = (size) => 1n << BigInt((size - 1n).toString(2).length - 1);

export async function rootOf(leaves) {
  if (leaves.length === 0) return sha256(toUtf8(""));
  let row = leaves;
  // Pairing neighbours and carrying an odd last one up gives the tree of RFC 6962 2.1.
  while (row.length > 1) {
    const pairs = [];
    for (let at = 0; at + 1 < row.length; at += 2) pairs.push(nodeHash(row[at], row[at + 1]));
    const above = await Promise.all(pairs);
    if (row.length % 2 === 1) above.push(row[row.length - 1]);
    row = above;
  }
  return row[0];
}

export async function checkInclusion(leaf, index, size, proof, root) {
  if (!(index >= 0n && index < size && size <= SIZE_MAX)) refuse("bad_tree_size", `leaf ${index} of ${size}`);
  checkHashes([leaf, root, ...proof], PROOF_HASHES_MAX + 2);
  let node = index;
  let last = size - 1n;
  let found = leaf;
  for (const sibling of proof) {
    if (last === 0n) refuse("proof_too_long");
    if ((node & 1n) === 1n || node === last) {
      found = await nodeHash(sibling, found);
      while ((node & 1n) === 0n && node !== 0n) [node, last] = [node >> 1n, last >> 1n];
    } else {
      found = await nodeHash(found, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last !== 0n) refuse("proof_too_short");
  if (!isEqual(found, root)) refuse("root_mismatch");
}

/** The roots (of the older tree, of the newer tree) that an explicit consistency proof leads to; neither is assumed. */
export async function foldConsistency(oldSize, size, proof) {
  if (!(oldSize > 0n && oldSize <= size && size <= SIZE_MAX)) refuse("bad_tree_size", `${oldSize} of ${size}`);
  let first = 0n;
  let node = oldSize - 1n;
  let last = size - 1n;
  while (first !== node && ((node & 1n) === 1n || node === last)) [first, node, last] = [first >> 1n, node >> 1n, last >> 1n];
  if (proof.length === 0) refuse("proof_too_short");
  let [older] = proof;
  let newer = older;
  for (const sibling of proof.slice(1)) {
    if (last === 0n) refuse("proof_too_long");
    if ((node & 1n) === 1n || node === last) {
      if (first < node) older = await nodeHash(sibling, older);
      newer = await nodeHash(sibling, newer);
      while ((node & 1n) === 0n) [first, node, last] = [first >> 1n, node >> 1n, last >> 1n];
    } else {
      newer = await nodeHash(newer, sibling);
    }
    [first, node, last] = [first >> 1n, node >> 1n, last >> 1n];
  }
  if (last !== 0n) refuse("proof_too_short");
  return { older, newer };
}

/** Refuse unless the leaf hashes stand from `start` on in the tree of `size` leaves with `root`. */
export async function checkRange(leaves, start, size, proof, root) {
  const end = start + BigInt(leaves.length);
  if (!(start >= 0n && start < end && end <= size && size <= SIZE_MAX)) {
    refuse("bad_tree_size", `leaves ${start} to ${end} of ${size}`);
  }
  checkHashes([root, ...proof], RANGE_PROOF_HASHES_MAX + 1);
  let used = 0;
  const fold = async (low, high) => {
    if (high <= start || end <= low) {
      if (used === proof.length) refuse("proof_too_short");
      used += 1;
      return proof[used - 1];
    }
    if (start <= low && high <= end) return rootOf(leaves.slice(Number(low - start), Number(high - start)));
    const middle = low + split(high - low);
    const left = await fold(low, middle);
    return nodeHash(left, await fold(middle, high));
  };
  const found = await fold(0n, size);
  if (used < proof.length) refuse("proof_too_long");
  if (!isEqual(found, root)) refuse("root_mismatch");
}

function checkHashes(hashes, countMax) {
  if (hashes.length > countMax) refuse("proof_too_long", `${hashes.length} hashes`);
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) refuse("bad_hash");
}
