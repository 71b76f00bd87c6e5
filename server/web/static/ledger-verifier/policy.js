// Witness policies (C2SP tlog-policy): which logs, which witnesses, how many of them: payouts/ledger/policy.py.

import { compareTexts, toUtf8 } from "./bytes.js";
import { COSIGNATURE, ED25519, ML_DSA_44, parseVkey, sortedKeys } from "./note.js";
import { Refused, refuse } from "./refused.js";

const POLICY_BYTES_MAX = 65_536;
const LINES_EACH_MAX = 64;
const NONE = "none";
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/;
const COUNT = /^[1-9][0-9]{0,2}$/;
const COSIGNS = [COSIGNATURE, ML_DSA_44];
const NOT_A_WITNESS = /^.*\/(?:auditor|mirror)\/[1-9][0-9]*$/;

/** The host that a key name or an origin begins with. */
export const hostOf = (name) => name.split("/", 1)[0];

const malformed = (detail) => refuse("malformed_policy", detail);

/** The policy in a text: `logs`, `witnesses` (name -> key) and `check(signed)`. */
export async function parsePolicy(text) {
  if (toUtf8(text).length > POLICY_BYTES_MAX || CONTROL.test(text)) malformed("too long, or a control character");
  const reading = new Reading();
  for (const line of text.split("\n")) {
    const words = line.split(/[ \t]+/).filter((word) => word !== "");
    if (words.length > 0 && !words[0].startsWith("#")) await reading.read(words);
  }
  if (reading.quorum === undefined) malformed("no quorum");
  return { logs: reading.logs, witnesses: reading.witnesses, check: (signed) => checkQuorum(reading, signed) };
}

/** The verified cosignatures of witnesses that another host than the log's runs; one for each host. */
export function countedCosignatures(signed) {
  const hosts = new Set([hostOf(signed.origin)]);
  return signed.signatures.filter(({ key }) => {
    const counts = COSIGNS.includes(key.algorithm) && !hosts.has(hostOf(key.name)) && !NOT_A_WITNESS.test(key.name);
    if (counts) hosts.add(hostOf(key.name));
    return counts;
  });
}

function checkQuorum({ quorum, groups, witnesses }, signed) {
  const counted = countedCosignatures(signed);
  const present = new Set(counted.map(({ key }) => key.text));
  const isMet = (name) => {
    if (name === NONE) return true;
    const group = groups.get(name);
    if (group === undefined) return present.has(witnesses.get(name).text);
    return group.members.filter(isMet).length >= group.threshold;
  };
  if (!isMet(quorum)) refuse("quorum_not_met", `${signed.origin}: ${counted.length} cosignatures count`);
}

class Reading {
  constructor() {
    this.logs = [];
    this.witnesses = new Map();
    this.groups = new Map();
    this.quorum = undefined;
    this.members = new Set();
  }

  async read([verb, ...rest]) {
    if (verb === "log" && (rest.length === 1 || rest.length === 2)) {
      this.addLog(await readKey(rest[0], [ED25519, ...COSIGNS]));
    } else if (verb === "witness" && (rest.length === 2 || rest.length === 3)) {
      this.addWitness(rest[0], await readKey(rest[1], COSIGNS));
    } else if (verb === "group" && rest.length >= 3) {
      this.addGroup(rest[0], rest[1], rest.slice(2));
    } else if (verb === "quorum" && rest.length === 1 && this.quorum === undefined) {
      if (rest[0] !== NONE) this.checkDefined(rest[0]);
      [this.quorum] = rest;
    } else {
      malformed([verb, ...rest].join(" ").slice(0, 80));
    }
  }

  addLog(key) {
    if (hasKey(this.logs, key) || this.logs.length >= LINES_EACH_MAX) malformed("a log twice, or too many");
    this.logs.push(key);
  }

  addWitness(name, key) {
    this.checkNew(name);
    if (hasKey([...this.witnesses.values()], key) || this.witnesses.size >= LINES_EACH_MAX) {
      malformed("a witness twice, or too many");
    }
    this.witnesses.set(name, key);
  }

  addGroup(name, threshold, members) {
    this.checkNew(name);
    for (const member of members) {
      this.checkDefined(member);
      // Else one witness could count in two ways.
      if (this.members.has(member)) malformed(`${member} is a member twice`);
      this.members.add(member);
    }
    if (threshold !== "any" && threshold !== "all" && !COUNT.test(threshold)) malformed(`threshold ${threshold}`);
    const count = threshold === "any" ? 1 : threshold === "all" ? members.length : Number(threshold);
    if (count > members.length || this.groups.size >= LINES_EACH_MAX) {
      malformed("a threshold nobody can reach, or too many groups");
    }
    this.groups.set(name, { threshold: count, members });
  }

  checkNew(name) {
    if (name === NONE || this.witnesses.has(name) || this.groups.has(name)) malformed(`${name} is defined twice`);
  }

  checkDefined(name) {
    if (!this.witnesses.has(name) && !this.groups.has(name)) malformed(`${name} is not defined before`);
  }
}

const publicPart = (key) => key.key.join(" ");
const hasKey = (keys, key) => keys.some((other) => publicPart(other) === publicPart(key));

async function readKey(text, algorithms) {
  let key;
  try {
    key = await parseVkey(text);
  } catch (error) {
    if (error instanceof Refused) malformed(error.message);
    throw error;
  }
  if (!algorithms.includes(key.algorithm)) malformed(`${key.name} is a key of another kind`);
  return key;
}

/** The policy of a statement, in its one spelling: who cosigned, and how many counted where they were fewest. */
export function exactPolicy(logs, signed) {
  const cosigners = signed.flatMap((one) => one.signatures.map(({ key }) => key).filter((key) => key.algorithm === COSIGNATURE));
  const counted = signed.map(countedCosignatures);
  const lines = logs.map((key) => key.text).sort(compareTexts).map((text) => `log ${text}`);
  for (const { name, text } of sortedKeys(cosigners)) lines.push(`witness ${name} ${text}`);
  const least = Math.min(...counted.map((one) => one.length));
  if (least > 0) {
    const names = [...new Set(counted.flat().map(({ key }) => key.name))].sort(compareTexts);
    lines.push(`group witnesses ${least} ${names.join(" ")}`, "quorum witnesses");
  } else {
    lines.push("quorum none");
  }
  return lines.map((line) => `${line}\n`).join("");
}
