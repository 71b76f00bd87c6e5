// The page on which the keys pass to their owner. The words are made here, shown here, and leave this page only on paper or in the kit.

import { openLog } from "./writing.js";
import { confirm, deviceSeed, ownerKeys, prove } from "./taking.js";
import { ENTROPY_BYTES, makeWords, parseList, sentenceOf } from "./mnemonic.js";
import { drawQr } from "./qr.js";
import { keep } from "./device.js";
import { kitFile } from "./kit.js";
import { parseJson, writeJson } from "../ledger-verifier/json.js";
import { token } from "../js/ask.js";

const ASKED_BACK = 3;
const page = document.querySelector("[data-take]");
const part = (name) => page.querySelector(`[data-${name}]`);
const problem = part("problem");
const { scid, handle, log: logAddress, prepare, finish, tool } = page.dataset;
// What this page knows and nobody else does. Reloading the page forgets it.
let made = null;

function show(name) {
  for (const step of page.querySelectorAll("[data-step]")) step.hidden = step.dataset.step !== name;
  problem.hidden = true;
  const step = page.querySelector(`[data-step="${name}"]`);
  step.querySelector("h2").focus();
  step.scrollIntoView({ block: "nearest" });
}

function say(text) {
  problem.textContent = text;
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

/** Run `act` once at a time; what goes wrong is said. */
function guarded(act) {
  let isBusy = false;
  return async (event) => {
    event.preventDefault();
    if (isBusy) return;
    isBusy = true;
    problem.hidden = true;
    const button = event.submitter ?? event.currentTarget;
    button.setAttribute?.("aria-busy", "true");
    try {
      await act(event);
    } catch (error) {
      say(error.name === "Refused" || error instanceof Answered ? error.message : `Something went wrong, and nothing was changed: ${error.message}`);
    } finally {
      isBusy = false;
      button.removeAttribute?.("aria-busy");
    }
  };
}

class Answered extends Error {}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Answered("The server cannot be reached. Check your connection and try again.");
  }
  const text = await response.text();
  if (response.ok) return text;
  const { detail, fields } = JSON.parse(text);
  throw new Answered(Object.values(fields ?? {}).flat()[0] ?? detail);
}

const send = (address, bodyText) =>
  ask(address, { method: "POST", body: bodyText, headers: { "Content-Type": "application/json", "X-CSRFToken": token() } });

part("make").addEventListener("submit", guarded(async () => {
  const chosen = part("language").selectedOptions[0];
  const list = parseList(await ask(chosen.dataset.list));
  const words = await makeWords(crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES)), list);
  const language = chosen.value;
  made = { words, language, lang: chosen.lang, sentence: sentenceOf(words, language), list };
  made.keys = await ownerKeys(made.sentence);
  made.withRecovery = part("recovery").checked;
  for (const place of page.querySelectorAll("[data-words]")) {
    place.lang = made.lang;
    place.replaceChildren(...words.map((word) => Object.assign(document.createElement("li"), { textContent: word })));
  }
  part("qr").replaceChildren(drawQr(made.sentence, "Your recovery words as a QR code"));
  show("words");
}));

part("print").addEventListener("click", () => window.print());

part("save").addEventListener("submit", guarded(async () => {
  const password = part("kit-password").value;
  if (password.length < 10) throw new Answered("Choose a password of at least ten characters for the kit.");
  const html = await kitFile(await ask(tool), { words: made.sentence, language: made.language, scid, handle }, password);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  link.download = `recovery-kit-${handle}.html`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  part("saved").hidden = false;
}));

part("written").addEventListener("click", () => {
  made.asked = threeOf(made.words.length);
  const fields = page.querySelectorAll("[data-asked]");
  made.asked.forEach((place, at) => {
    fields[at].querySelector("label").textContent = `Word number ${place + 1}`;
    fields[at].querySelector("input").value = "";
  });
  show("check");
});

/** Three different places, in order. */
function threeOf(count) {
  const places = new Set();
  while (places.size < ASKED_BACK) places.add(crypto.getRandomValues(new Uint32Array(1))[0] % count);
  return [...places].sort((one, other) => one - other);
}

part("back").addEventListener("click", () => show("words"));

const plain = (word) => word.trim().toLowerCase().normalize("NFKD");

part("answers").addEventListener("submit", guarded(async () => {
  const typed = [...page.querySelectorAll("[data-asked] input")].map((input) => plain(input.value));
  const wrong = made.asked.filter((place, at) => typed[at] !== plain(made.words[place]));
  if (wrong.length > 0) throw new Answered(`Not quite: word number ${wrong.map((place) => place + 1).join(" and ")} is another one. Look at your paper again.`);
  show("password");
}));

part("finish").addEventListener("submit", guarded(async () => {
  const { keys, withRecovery } = made;
  const before = await openLog(await ask(logAddress), Date.now());
  const wanted = { user_key: keys.userKey, box_key: keys.boxKey, paper_key_hash: keys.paperKeyHash, with_recovery: withRecovery };
  const entry = writeJson(parseJson(await send(prepare, JSON.stringify(wanted))).value.get("entry"));
  const proof = await prove(before, entry, { keys, withRecovery, now: Date.now() });
  const password = JSON.stringify(part("password").value);
  const answer = parseJson(await send(finish, `{"entry":${entry},"proof":${proof},"password":${password}}`)).value;
  const log = await confirm(before, answer.get("lines").join("\n"), { keys, now: Date.now() });
  const isKept = await keep(scid, await deviceSeed(keys));
  part("entries").textContent = String(log.versions.length);
  part("device").hidden = !isKept;
  part("no-device").hidden = isKept;
  forget();
  show("done");
}));

function forget() {
  made = null;
  part("password").value = "";
  part("kit-password").value = "";
  part("qr").replaceChildren();
  for (const place of page.querySelectorAll("[data-words]")) place.replaceChildren();
}

// Before this a press would have sent the form nowhere.
part("ready").disabled = false;
