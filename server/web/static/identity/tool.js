// The recovery tool: a page that works from disk. It speaks to a network only when "Send" is pressed, with what was signed.

import { multikeyBytes, toBase58 } from "../ledger-verifier/base58.js";
import { concat, fromUtf8, toUtf8 } from "../ledger-verifier/bytes.js";
import { writeJson } from "../ledger-verifier/json.js";
import { make } from "../ledger-verifier/words.js";
import { toMap } from "./proving.js";
import { parseList, readWords, seedOf, userSeed } from "./mnemonic.js";
import { move, readOffer, recover, rotate, standing, userSigner } from "./owner.js";
import { documentNaming, payoutRoute, readMoveRequests, readRsaKey, signMove } from "./signing.js";
import { open, seal } from "./sealed.js";
import { unlock } from "./keyfile.js";
import { drawQr } from "./qr.js";
import { logText, openLog } from "./writing.js";

const tool = document.querySelector("[data-identity-tool]");
const part = (name) => tool.querySelector(`[data-${name}]`);
// Multicodec ed25519-priv, as a varint.
const PRIVATE = Uint8Array.of(0x80, 0x26);
const JSON_TYPE = "application/json";

function problem(text) {
  part("problem").textContent = text;
  part("problem").hidden = text === "";
  if (text !== "") part("problem").scrollIntoView({ block: "nearest" });
}

/** A form's `submit`, one at a time; what goes wrong is said. */
function on(name, act) {
  const form = part(name);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not([type=button])");
    button.disabled = true;
    problem("");
    try {
      await act(form);
    } catch (error) {
      problem(error.message);
    } finally {
      button.disabled = false;
    }
  });
}

const field = (form, name) => form.elements.namedItem(name);
const text = (form, name) => field(form, name).value.trim();

async function fileOf(form, name, what) {
  const [file] = field(form, name).files;
  if (!file) throw new Error(`Choose ${what} first.`);
  return new Uint8Array(await file.arrayBuffer());
}

// The lists lie in the saved file; on a server's page each is fetched when the words are read.
async function lists() {
  const inside = document.getElementById("words");
  if (inside) {
    const found = JSON.parse(inside.textContent);
    return Object.fromEntries(Object.entries(found).map(([language, words]) => [language, parseList(words)]));
  }
  const { lists: _, ...addresses } = document.querySelector("[data-lists]").dataset;
  const fetched = Object.entries(addresses).map(async ([language, url]) => [language, parseList(await (await fetch(url)).text())]);
  return Object.fromEntries(await Promise.all(fetched));
}

async function seed() {
  const sentence = part("sentence").value;
  if (sentence.trim() === "") throw new Error("Enter your recovery words first.");
  try {
    await readWords(sentence, await lists());
  } catch (error) {
    if (error.code !== "bad_words") throw error;
    throw new Error("These are not valid recovery words. Check the spelling and the order.", { cause: error });
  }
  return seedOf(sentence);
}

async function log() {
  const [file] = part("log").files;
  const given = file ? await file.text() : part("log-text").value;
  if (given.trim() === "") throw new Error("Choose your key log first: the file did.jsonl, from your archive or from any server that knows you.");
  return openLog(given.trim(), Date.now());
}

let result = null;

function show(data, { name, type, say, to = "" }) {
  result = { data, name, type };
  part("said").textContent = say;
  part("output").value = typeof data === "string" ? data : `${data.length} bytes`;
  part("post-to").value = to;
  part("post").hidden = typeof data !== "string" || type === "text/plain";
  part("answer").textContent = "";
  part("result").hidden = false;
  part("result").querySelector("h2").focus();
}

part("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([result.data], { type: result.type }));
  link.download = result.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});

on("post", async () => {
  const url = part("post-to").value.trim();
  if (!/^https:|^http:\/\/(localhost|127\.0\.0\.1):/.test(url)) throw new Error("What is signed is sent by https only.");
  // Plain text needs no question beforehand, which a file on a disk may not ask (CORS).
  const answer = await fetch(url, { method: "POST", body: result.data, headers: { "Content-Type": "text/plain" }, credentials: "omit" });
  const said = (await answer.text()).slice(0, 500);
  part("answer").textContent = answer.ok ? "Sent, and accepted." : `The server refused it (${answer.status}): ${said}`;
});

async function describe() {
  const found = await log();
  const { document, head } = found;
  const holder = { owner: "you (the owner)", server: "the home server" }[document.custody];
  const line = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
  part("facts").replaceChildren(
    line("Identity", make("code", { class: "hash" }, found.scid)),
    line("Home", document.acct.replace("acct:", "")),
    line("Keys are held by", holder),
    line("Entries", `${head.entry.number}, all verified`),
    line("Newest", `${head.entry.time}`),
  );
  part("checked").hidden = false;
}

for (const name of ["log", "log-text"]) {
  part(name).addEventListener("change", async () => {
    problem("");
    part("checked").hidden = true;
    try {
      await describe();
    } catch (error) {
      problem(`This key log is refused: ${error.message}`);
    }
  });
}

on("keys", async () => {
  const found = await log();
  const secret = await seed();
  const { paper, user } = await standing(found, secret);
  const say = `${paper ? `These words hold paper key ${paper.number}, which the log waits for${paper.place > 0 ? `, at place ${paper.place + 1}` : ""}.` : "The log does not wait for a key of these words."} ${user ? `They hold the signing key, number ${user.number}.` : "They do not hold the signing key."}`;
  const key = user ? `z${toBase58(concat(PRIVATE, await userSeed(secret, user.number)))}` : "";
  show(key, { name: "signing-key.txt", type: "text/plain", say: `${say}${user ? " Below is the signing key, for a browser to keep. It can sign, but not move or recover." : ""}` });
});

on("move", async (form) => {
  const offer = readOffer(JSON.parse(fromUtf8(await fileOf(form, "offer", "the offer of the new home"))));
  const moved = await move(await log(), { seed: await seed(), offer, now: Date.now(), withRecovery: field(form, "recovery").checked });
  const body = writeJson(toMap({ log: moved.log.lines, grant: moved.grant }));
  show(body, { name: "move.json", type: JSON_TYPE, to: `${offer.actor}/move`, say: `Signed: you move to ${offer.acct.replace("acct:", "")}. Send it, or upload the file there, within 15 minutes.` });
});

on("recover", async () => {
  const taken = await recover(await log(), { seed: await seed(), now: Date.now() });
  show(logText(taken), { name: "did.jsonl", type: "text/jsonl", say: "Signed: the identity is yours again, with a new signing key. Give this key log to your home server and to its copies." });
});

on("rotate", async () => {
  const rotated = await rotate(await log(), { seed: await seed(), now: Date.now() });
  show(logText(rotated), { name: "did.jsonl", type: "text/jsonl", say: "Signed: the next paper key takes the place of this one, and keys of lower rank are gone." });
});

on("seal", async (form) => {
  const { box } = (await log()).document;
  if (box === undefined) throw new Error("This identity has no key for sealed files yet.");
  const data = await seal(await fileOf(form, "file", "a file"), multikeyBytes(box.multikey, "x25519"));
  show(data, { name: `${field(form, "file").files[0].name}.sealed`, type: "application/octet-stream", say: "Sealed. Only your words can open it." });
});

on("open", async (form) => {
  const { box } = await standing(await log(), await seed());
  const data = await open(await fileOf(form, "file", "a sealed file"), box.key);
  show(data, { name: field(form, "file").files[0].name.replace(/\.sealed$/, ""), type: "application/octet-stream", say: "Opened." });
});

/** The signer of the `#user` key that the log names, and the document. */
async function userOf(found) {
  const { user } = await standing(found, await seed());
  if (user === null) throw new Error("The identity has another signing key than these words. Take it back first.");
  return user.signer;
}

on("route", async (form) => {
  const found = await log();
  const { did, user } = found.document;
  const sealed = await seal(toUtf8(text(form, "route")), multikeyBytes(text(form, "to"), "x25519"));
  const method = `${did}?versionId=${found.head.entry.versionId}#user-${user.number}`;
  const signed = await payoutRoute({ scid: found.scid, debtor: text(form, "debtor"), seq: Number(text(form, "seq")), sealed, signer: await userOf(found), method, now: Date.now() });
  show(writeJson(signed), { name: "route.json", type: JSON_TYPE, say: "Signed and sealed: only the debtor can read where to pay." });
});

on("tell", async (form) => {
  const found = await log();
  const requests = await readMoveRequests(fromUtf8(await fileOf(form, "requests", "what the new home asks to be signed")), found);
  const secret = await seed();
  const signer = await userSigner(found, secret, documentNaming(found, requests.get("oldActor")).user.multikey);
  if (signer === null) throw new Error("Your old account had another signing key than these words.");
  const { box } = await standing(found, secret);
  const hasKeys = field(form, "keys").files.length > 0;
  const actorKey = hasKeys ? await readRsaKey(fromUtf8(await open(await fileOf(form, "keys", "keys.sealed"), box.key))) : null;
  const signed = await signMove(requests, { signer, actorKey, now: Date.now() });
  const whom = hasKeys ? `for ${requests.get("inboxes").length} servers` : "without the old account’s key: Mastodon from 4.7 believes it";
  show(writeJson(signed), { name: "signed-move.json", type: JSON_TYPE, say: `Signed ${whom}. Bring the file to the page “Tell your followers” of your new home within twelve hours.` });
});

// A kit: the tool with a key file inside.
const kit = JSON.parse(document.getElementById("kit")?.textContent ?? "null");
if (kit !== null) {
  part("kit").hidden = false;
  part("kit-name").textContent = `@${kit.handle}`;
  part("kit-scid").textContent = kit.scid;
  on("unlock", async (form) => {
    const { words } = await unlock(kit.keyFile, field(form, "password").value);
    field(form, "password").value = "";
    part("sentence").value = words.normalize("NFC");
    part("words").replaceChildren(...words.normalize("NFC").split(/\s+/u).map((word) => make("li", {}, word)));
    part("qr").replaceChildren(drawQr(words.normalize("NFC"), "Your recovery words as a QR code"));
    part("opened").hidden = false;
  });
  part("print").addEventListener("click", () => window.print());
}
