// Signing an arrival in this page: the words become keys here, and what leaves is the log with one more entry, and the grant.

import { Refused } from "../ledger-verifier/refused.js";
import { writeJson } from "../ledger-verifier/json.js";
import { parseList, readWords, seedOf } from "./mnemonic.js";
import { move, readOffer } from "./owner.js";
import { openLog } from "./writing.js";

const form = document.querySelector("[data-arrive]");
const problem = form.querySelector("[data-problem]");
const given = JSON.parse(document.getElementById("signing").textContent);

async function lists() {
  const found = await Promise.all(
    Object.entries(given.lists).map(async ([language, address]) => [language, parseList(await (await fetch(address)).text())]),
  );
  return Object.fromEntries(found);
}

async function arrive(sentence, withRecovery) {
  try {
    await readWords(sentence, await lists());
  } catch (error) {
    if (error.code !== "bad_words") throw error;
    throw new Refused("bad_words", "these are not valid recovery words. Check the spelling and the order.");
  }
  const now = Date.now();
  const log = await openLog(given.log, now);
  const signed = await move(log, { seed: await seedOf(sentence), offer: readOffer(given.offer), now, withRecovery });
  const body = writeJson(new Map([["log", signed.log.lines], ["grant", signed.grant]]));
  const answer = await fetch(given.post, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) throw new Refused("not_taken", (await answer.json()).detail);
}

form.hidden = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const words = form.querySelector("#words");
  const button = form.querySelector("button");
  problem.hidden = true;
  button.disabled = true;
  try {
    await arrive(words.value, form.querySelector("#recovery").checked);
    words.value = "";
    location.assign(given.next);
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof TypeError)) throw error;
    problem.textContent = `Nothing was moved: ${error.message}`;
    problem.hidden = false;
    button.disabled = false;
  }
});
