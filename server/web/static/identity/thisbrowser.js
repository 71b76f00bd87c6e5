// "This browser" on the page of one's identity: does it keep the signing key? Take one in from the kit, or remove it.

import { fromMultibase } from "../ledger-verifier/base58.js";
import { signerOf } from "./ed25519.js";
import { forget, keep, signerFor } from "./device.js";

const place = document.querySelector("[data-device]");
// Multicodec ed25519-priv, as a varint.
const PRIVATE = [0x80, 0x26];

async function show() {
  const { scid, multikey } = place.dataset;
  const has = (await signerFor(scid, multikey)) !== null;
  place.querySelector("[data-has]").hidden = !has;
  place.querySelector("[data-lacks]").hidden = has;
}

async function take(event) {
  event.preventDefault();
  const input = event.target.querySelector("input");
  const problem = place.querySelector("[data-problem]");
  const { scid, multikey } = place.dataset;
  const data = fromMultibase(input.value.trim()) ?? [];
  const isKey = data.length === 34 && PRIVATE.every((byte, at) => data[at] === byte);
  const seed = isKey ? data.slice(2) : null;
  input.value = "";
  problem.hidden = true;
  if (!isKey || (await signerOf(seed)).multikey !== multikey) problem.textContent = "This is not the signing key of this identity.";
  else if (!(await keep(scid, seed))) problem.textContent = "This browser cannot keep a signing key.";
  else return show();
  problem.hidden = false;
  return undefined;
}

if (place) {
  place.querySelector("[data-import]").addEventListener("submit", take);
  place.querySelector("[data-forget]").addEventListener("click", async () => {
    await forget(place.dataset.scid);
    await show();
  });
  await show();
}
