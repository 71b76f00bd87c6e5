// did:webvh strings: server/identity/keylog/did.py. Nothing is fetched here, so a host may be local and have a port.

import { isMultihash } from "./base58.js";
import { lengthOf } from "./bytes.js";

const PREFIX = "did:webvh:";
const DID_CHARACTERS_MAX = 1_024;
const HOST_CHARACTERS_MAX = 253;
const PORT_MAX = 65_535;
const HOST = /^([^%]+)(?:%3A([1-9][0-9]{0,4}))?$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const ADDRESS_LABEL = /^(?:[0-9]+|0x[0-9a-f]*)$/;
const LOCAL_NAMES = ["localhost", "local", "internal", "onion"];
const BAD_ESCAPE = /%(?![0-9A-F]{2})/;
const NOT_IN_SEGMENT = /[\u0000-\u0020\u007f/\\?#:%"<>^`{|}[\]]/;
const ASCII = /^[\u0000-\u007f]*$/;
// IDNA 2008 takes letters, digits and marks; WHATWG's rules, which the browser has, also let symbols in.
const LETTERS = /^[\p{L}\p{M}\p{Nd}\u00b7\u0375\u05f3\u05f4\u30fb\u200c\u200d.\u3002\uff0e\uff61-]+$/u;

/** The SCID of a did:webvh at an allowed place, or null. */
export function scidOfDid(text) {
  if (typeof text !== "string" || lengthOf(text) > DID_CHARACTERS_MAX || !text.startsWith(PREFIX)) return null;
  const [scid, host, ...path] = text.slice(PREFIX.length).split(":");
  return isMultihash(scid) && host !== undefined && isHost(host) && path.every(isSegment) ? scid : null;
}

function isHost(text) {
  const found = HOST.exec(text);
  if (found === null || Number(found[2] ?? 0) > PORT_MAX) return false;
  const host = ASCII.test(found[1]) ? found[1] : toAscii(found[1]);
  if (host === null || host.length > HOST_CHARACTERS_MAX) return false;
  const labels = host.split(".");
  const last = labels[labels.length - 1];
  if (!labels.every((label) => LABEL.test(label)) || ADDRESS_LABEL.test(last)) return false;
  // localhost is the development setting; the other local names are never a home.
  return last === "localhost" || (labels.length > 1 && !LOCAL_NAMES.includes(last));
}

function toAscii(host) {
  if (!LETTERS.test(host.normalize("NFKC"))) return null;
  try {
    return new URL(`https://${host}/`).hostname;
  } catch {
    return null;
  }
}

function isSegment(text) {
  if (BAD_ESCAPE.test(text)) return false;
  let segment;
  try {
    segment = decodeURIComponent(text);
  } catch {
    return false;
  }
  return segment !== "" && segment !== "." && segment !== ".." && !NOT_IN_SEGMENT.test(segment);
}
