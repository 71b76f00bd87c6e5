// Signing an agreement in the owner's browser: the server says what is to be signed, this browser's signing key signs it.

import { parseJson, writeJson } from "../ledger-verifier/json.js";
import { token } from "../js/ask.js";
import { signerFor } from "./device.js";
import { createProof } from "./proving.js";

const API = "/api/tributary/v1/me/wallet";
const form = document.querySelector("[data-sign]");
const part = (name) => form.querySelector(`[data-${name}]`);

async function post(address, text) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token() };
  const response = await fetch(address, { method: "POST", headers, body: text });
  const answer = await response.text();
  if (!response.ok) throw new Error(JSON.parse(answer).detail);
  return answer;
}

/** The agreement with our proof; what it says besides is what the page showed: its id is the hash of it. */
async function signed(document, method, signer) {
  const unsigned = new Map([...document].filter(([name]) => name !== "id" && name !== "proof"));
  const proof = await createProof(unsigned, { signer, method, now: Date.now() });
  return new Map([...document, ["proof", [proof]]]);
}

async function sign(signer) {
  const { debtor, offer, scid, next } = form.dataset;
  const prepared = parseJson(await post(`${API}/prepare`, JSON.stringify({ debtor, offer }))).value;
  const document = prepared.get("document");
  if (document.get("prev") !== offer || document.get("scope") !== scid) throw new Error("The server asks for another signature than this page shows.");
  const whole = await signed(document, prepared.get("verification_method"), signer);
  await post(`${API}/sign`, `{"debtor":${JSON.stringify(debtor)},"offer":${JSON.stringify(offer)},"document":${writeJson(whole)}}`);
  location.assign(next);
}

const signer = await signerFor(form.dataset.scid, form.dataset.multikey);
part("has").hidden = signer === null;
part("lacks").hidden = signer !== null;
part("go").disabled = signer === null;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  part("problem").hidden = true;
  part("go").disabled = true;
  try {
    await sign(signer);
  } catch (error) {
    part("problem").textContent = error.message;
    part("problem").hidden = false;
    part("go").disabled = false;
  }
});
