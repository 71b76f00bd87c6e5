// The identity document as a log entry's `state` writes it: server/identity/keylog/document.py. What `build` would write
// differently is refused, so nothing in it goes unseen.

import { multikeyBytes } from "./base58.js";
import { lengthOf } from "./bytes.js";
import { isString } from "./fields.js";
import { writeJson } from "./json.js";
import { refuse } from "./refused.js";

const CONTEXT = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"];
const URL_CHARACTERS_MAX = 2_048;
const ALIASES_MAX = 64;
const METHOD = /^#(user|home|box)-([1-9][0-9]{0,5})$/;
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const ACCT = new RegExp(`^acct:[^@${SPACE}]{1,64}@[^@/${SPACE}]{1,260}$`, "u");
const CUSTODIES = ["owner", "server"];

const bad = (detail) => refuse("bad_identity_log", `document: ${detail}`);

/** What a document says of the person's key: the DID, the key's number and its Multikey. */
export function readDocument(state) {
  const did = state.get("id");
  const aliases = listAt(state, "alsoKnownAs");
  const services = listAt(state, "service");
  const keys = new Map();
  for (const method of listAt(state, "verificationMethod")) {
    const id = memberOf(method, "id");
    const found = METHOD.exec(isString(id) && id.startsWith(did) ? id.slice(did.length) : String(id));
    if (found === null || keys.has(found[1])) bad("one key each is called user, home and box");
    keys.set(found[1], { number: Number(found[2]), multikey: memberOf(method, "publicKeyMultibase") });
  }
  if (!keys.has("user") || !keys.has("home") || services.length === 0 || aliases.length < 2) bad("a part is missing");
  const endpoints = (type) => services.filter((one) => memberOf(one, "type") === type).map((one) => memberOf(one, "serviceEndpoint"));
  const document = {
    did,
    actor: memberOf(services[0], "serviceEndpoint"),
    acct: aliases[aliases.length - 1],
    prior: aliases.slice(0, -2),
    user: keys.get("user"),
    home: keys.get("home"),
    box: keys.get("box"),
    custody: memberOf(state.get("tributary"), "custody"),
    replicas: endpoints("WebVHWatcher"),
    archives: endpoints("TributaryArchive"),
  };
  check(document);
  if (writeJson(buildDocument(document)) !== writeJson(state)) bad("a part that this verifier does not know");
  return document;
}

function listAt(state, name) {
  const value = state.get(name);
  return Array.isArray(value) ? value : bad(`${name} is no list`);
}

const memberOf = (value, name) => (value instanceof Map && value.has(name) ? value.get(name) : bad(`${name} is missing`));

function check({ did, actor, acct, prior, user, home, box, custody, replicas, archives }) {
  if (![did, acct, custody, ...prior].every((name) => isString(name) && lengthOf(name) <= URL_CHARACTERS_MAX)) bad("names are texts");
  if (!CUSTODIES.includes(custody)) bad("custody is owner or server");
  if (!ACCT.test(acct)) bad("the last name is acct:handle@host");
  if (prior.length + 2 > ALIASES_MAX) bad("too many names");
  multikeyBytes(user.multikey, "ed25519");
  multikeyBytes(home.multikey, "ed25519");
  if (box !== undefined) multikeyBytes(box.multikey, "x25519");
  if (user.multikey === home.multikey) bad("the person's key and the home server's differ");
  if (![actor, ...replicas, ...archives].every(isAddress)) bad("an address is a URL without user and fragment");
}

/** The `state` for a log entry. */
export function buildDocument(document) {
  const { did, user, home, box } = document;
  const userMethod = `${did}#user-${user.number}`;
  const homeMethod = `${did}#home-${home.number}`;
  const method = (id, key) => object({ id, type: "Multikey", controller: did, publicKeyMultibase: key.multikey });
  const service = (id, type, url) => object({ id: `${did}#${id}`, type, serviceEndpoint: url });
  const state = {
    "@context": CONTEXT,
    id: did,
    alsoKnownAs: [...document.prior, document.actor, document.acct],
    verificationMethod: [method(userMethod, user), method(homeMethod, home)],
    authentication: [userMethod],
    assertionMethod: [userMethod, homeMethod],
    capabilityInvocation: [userMethod],
    service: [
      service("home", "ActivityPubActor", document.actor),
      ...document.replicas.map((url, at) => service(`replica-${at + 1}`, "WebVHWatcher", url)),
      ...document.archives.map((url, at) => service(`archive-${at + 1}`, "TributaryArchive", url)),
    ],
    tributary: object({ custody: document.custody }),
  };
  if (box !== undefined) {
    const boxMethod = `${did}#box-${box.number}`;
    state.verificationMethod.push(method(boxMethod, box));
    state.keyAgreement = [boxMethod];
  }
  return object(state);
}

const object = (members) => new Map(Object.entries(members));

/** Whether urllib.parse.urlsplit finds in it http or https, a host, and neither user nor fragment. */
function isAddress(text) {
  if (!isString(text) || lengthOf(text) > URL_CHARACTERS_MAX) return false;
  // eslint-disable-next-line no-control-regex
  const url = text.replace(/^[\u0000-\u0020]+/, "").replace(/[\t\r\n]/g, "");
  const found = /^https?:\/\/([^/?#]*)([^#]*)(?:#(.*))?$/is.exec(url);
  if (found === null || found[1].includes("@") || found[3]) return false;
  const [, place] = found;
  if (place.includes("[") || place.includes("]")) return /^\[[0-9a-fA-F:.]+\](?::.*)?$/.test(place) && isIpv6(place);
  const folded = place.replace(/[@:#?]/g, "").normalize("NFKC");
  return place.split(":")[0] !== "" && (/^[\u0000-\u007f]*$/.test(place) || !/[/?#@:]/.test(folded));
}

function isIpv6(place) {
  try {
    return Boolean(new URL(`https://${place.slice(0, place.indexOf("]") + 1)}/`).hostname);
  } catch {
    return false;
  }
}
