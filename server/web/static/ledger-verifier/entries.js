// Entries, the leaves of the log: payouts/ledger/entries.py. They have no signature of their own; the checkpoint signs them.

import { checkBody } from "./bodies.js";
import { toHex } from "./bytes.js";
import { decode } from "./canonical.js";
import { accountKey, checkMoves, isTouching, movesOf, parseLink } from "./chain.js";
import { checkMembers, checkTime, checkVersion, isAscending, isInteger, isString, isText } from "./fields.js";
import { leafHash } from "./merkle.js";
import { isOrigin, parseAccount, parseAmount } from "./money.js";
import { refuse } from "./refused.js";

const ENTRY_BYTES_MAX = 4_096;
const MEMBERS = ["v", "origin", "index", "type", "at", "id", "body", "postings", "accounts"];
const isIndex = isInteger();
const isEntryId = isText("[0-9a-f]{32}");

/** The entry in canonical bytes, of this log and at this place when they are given. */
export async function parseEntry(data, origin, index) {
  if (data.length > ENTRY_BYTES_MAX) refuse("entry_too_large", `${data.length} bytes`);
  const document = decode(data, ENTRY_BYTES_MAX);
  checkMembers(document, MEMBERS, "entry");
  checkVersion(document);
  const member = (name) => document.get(name);
  if (!isOrigin(member("origin")) || (origin ?? member("origin")) !== member("origin")) {
    refuse("bad_origin", `${member("origin")}, not ${origin}`);
  }
  if (!isIndex(member("index")) || (index ?? member("index")) !== member("index")) {
    refuse("bad_index", `${member("index")}, not ${index}`);
  }
  const type = member("type");
  const body = member("body");
  const touches = checkBody(type, body);
  const at = checkTime(member("at"));
  if (!isEntryId(member("id"))) refuse("bad_entry_id", `${member("id")}`);
  const postings = parsePostings(member("postings"), touches);
  const moves = movesOf(postings);
  checkMoves(type, body, moves);
  const touched = isTouching(type) ? [accountKey(body.get("scid"), body.get("currency"))] : [...moves.keys()];
  const links = parseLinks(member("accounts"), touched);
  const leaf = await leafHash(data);
  return { origin: member("origin"), index: member("index"), type, at, id: member("id"), body, links, moves, leaf, leafHex: toHex(leaf) };
}

function parsePostings(value, touches) {
  if (!Array.isArray(value)) refuse("bad_member", "postings is no list");
  const sums = new Map();
  const postings = [];
  let last = "";
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(isString)) refuse("bad_posting", "no pair of texts");
    const [name] = pair;
    const account = parseAccount(name);
    const amount = parseAmount(pair[1]);
    if (amount === 0n) refuse("bad_posting", `nothing moves on ${name}`);
    if (!touches.includes(account.kind)) refuse("posting_not_allowed", name);
    if (!(last < name)) refuse("postings_unsorted", name);
    last = name;
    sums.set(account.currency, (sums.get(account.currency) ?? 0n) + amount);
    postings.push({ account, amount });
  }
  for (const [currency, total] of sums) if (total !== 0n) refuse("postings_unbalanced", `${currency}: ${total}`);
  return postings;
}

function parseLinks(value, touched) {
  if (!Array.isArray(value)) refuse("bad_member", "accounts is no list");
  const links = value.map(parseLink);
  const keys = links.map((link) => accountKey(link.scid, link.currency));
  if (!isAscending(keys)) refuse("accounts_unsorted");
  if (!touched.every((key) => keys.includes(key))) refuse("account_link_missing");
  if (keys.length > touched.length) refuse("account_link_unexpected");
  return links;
}
