// The page: a file in, the verdict below. It asks no server for anything, and works from disk.

import { isAvailable } from "./digest.js";
import { reportText } from "./report.js";
import { BYTES_MAX, verifyFork, verifyStatement } from "./verify.js";
import { describe, make } from "./words.js";

const form = document.querySelector("[data-verifier]");
const drop = form.querySelector("[data-drop]");
const input = form.querySelector("input[type=file]");
const fileName = form.querySelector("[data-file-name]");
const policy = form.querySelector("[data-policy]");
const keys = form.querySelector("[data-keys]");
const progress = form.querySelector("[data-progress]");
const bar = progress.querySelector("progress");
const words = progress.querySelector("[data-progress-text]");
const result = document.querySelector("[data-result]");
const CURLY = 0x7b;
const STEP_MS = 50;
let latest = 0;

/** A fork proof is JSON, a statement is gzip. */
const isFork = (data) => data[0] === CURLY;

function show(...parts) {
  result.replaceChildren(...parts);
  result.querySelector("[tabindex]")?.focus({ preventScroll: false });
}

const problem = (title, text) => show(make("h2", { tabindex: "-1" }, title), make("p", { class: "notice" }, text));

function advance() {
  let shownAt = 0;
  return (done, all) => {
    const now = performance.now();
    if (done < all && now - shownAt < STEP_MS) return;
    shownAt = now;
    bar.max = all;
    bar.value = done;
    words.textContent = `Checked ${done} of ${all} entries`;
  };
}

async function judge(data) {
  if (!isFork(data)) return verifyStatement(data, { policyText: policy.value, onProgress: advance() });
  const vkeys = keys.value.split(/\s+/).filter((word) => word !== "");
  if (vkeys.length > 0) return verifyFork(data, vkeys);
  form.querySelector("[data-trust]").open = true;
  problem("Which log is it about?", "This is a fork proof. Paste the log's verifier key under “Whom do you trust?” and press Verify.");
  keys.focus();
  return null;
}

async function run() {
  const [file] = input.files;
  if (!file) {
    problem("No file yet", "Choose a statement or a fork proof first.");
    return;
  }
  if (!isAvailable() || typeof DecompressionStream === "undefined") {
    problem("This browser cannot check it", "Open this page over https or from a file on your disk, in a current browser.");
    return;
  }
  latest += 1;
  const mine = latest;
  result.replaceChildren();
  bar.removeAttribute("value");
  words.textContent = "Reading the file";
  progress.hidden = false;
  try {
    const data = new Uint8Array(await file.slice(0, BYTES_MAX).arrayBuffer());
    const report = await judge(data);
    // A file chosen in the meantime has the word.
    if (mine === latest && report !== null) present(report);
  } catch (error) {
    if (mine === latest) problem("The file could not be checked", `Nothing was said about it: ${error.message}`);
  } finally {
    if (mine === latest) progress.hidden = true;
  }
}

function present(report) {
  const json = make("pre", { class: "verdict-json", tabindex: "0", "aria-label": "The verdict as JSON" }, reportText(report));
  show(...describe(report), make("details", { class: "verdict-more" }, make("summary", {}, "The verdict as JSON"), json));
}

function chosen() {
  const [file] = input.files;
  fileName.textContent = file ? file.name : "";
  if (file) run();
}

input.addEventListener("change", chosen);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("is-over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length === 0) return;
  input.files = event.dataTransfer.files;
  chosen();
});
