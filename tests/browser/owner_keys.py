"""The owner's keys in the browser: functions of ``server/web/static/identity`` run in a page, on the values of a test."""

import json
from base64 import b64decode, b64encode
from typing import Any

from django.contrib.staticfiles.storage import staticfiles_storage
from playwright.sync_api import Page

MODULES = ("mnemonic", "ed25519", "sealed", "writing", "owner", "proving", "signing", "keyfile")
SCRIPT = """async ({ urls, given, body }) => {
  const modules = Object.fromEntries(await Promise.all(Object.entries(urls).map(async ([name, url]) => [name, await import(url)])));
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const base64 = (data) => btoa(String.fromCharCode(...data));
  const found = await scenarios[body](modules, given, { bytes, base64 });
  return JSON.stringify(found, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value));
}"""

# One scenario is the body of `async (modules, given, { bytes, base64 }) => ...`.
SCENARIOS = {
    "words": """
        const said = [];
        for (const { entropy, sentence, list, language } of given) {
          const lists = { [language]: modules.mnemonic.parseList(list) };
          const made = modules.mnemonic.sentenceOf(await modules.mnemonic.makeWords(bytes(entropy), lists[language]), language);
          const { entropy: read } = await modules.mnemonic.readWords(sentence, lists);
          said.push([made.normalize("NFKD"), base64(read), base64(await modules.mnemonic.seedOf(sentence, "TREZOR"))]);
        }
        return said;""",
    "refused": """
        const said = [];
        for (const sentence of given.sentences) {
          try {
            await modules.mnemonic.readWords(sentence, { english: modules.mnemonic.parseList(given.list) });
            said.push(null);
          } catch (error) {
            said.push(error.code);
          }
        }
        return said;""",
    "derive": """
        const said = [];
        for (const { seed, path } of given) {
          const node = await modules.mnemonic.derive(bytes(seed), path);
          said.push([base64(node.key), base64(node.chainCode), (await modules.ed25519.signerOf(node.key)).multikey]);
        }
        return said;""",
    "sign": """
        const said = [];
        for (const { seed, message } of given) {
          const signer = await modules.ed25519.signerOf(bytes(seed));
          said.push([signer.multikey, base64(await signer.sign(bytes(message)))]);
        }
        return said;""",
    "seal": "return base64(await modules.sealed.seal(bytes(given.data), bytes(given.recipient)));",
    "open": """
        try {
          return base64(await modules.sealed.open(bytes(given.sealed), bytes(given.key)));
        } catch (error) {
          return error.code;
        }""",
    "genesis": """
        const { document, seed, next, now } = given;
        const signer = await modules.ed25519.signerOf(bytes(seed));
        return modules.writing.logText(await modules.writing.genesis({ document, signer, nextKeys: next, now }));""",
    # One change after another; every step says the log, or why not.
    "changes": """
        const { owner, writing, ed25519 } = modules;
        const said = [];
        let log = await writing.openLog(given.log, given.now);
        for (const step of given.steps) {
          const seed = bytes(step.seed);
          const now = step.now;
          try {
            let grant = null;
            if (step.do === "take") {
              const document = writing.ownedDocument(log.document, step);
              log = await writing.append(log, { document, signer: await ed25519.signerOf(seed), nextKeys: step.next, now });
            } else if (step.do === "move") {
              const offer = owner.readOffer(step.offer);
              ({ log, grant } = await owner.move(log, { seed, offer, now, withRecovery: step.withRecovery }));
            } else {
              log = await owner[step.do](log, { seed, now });
            }
            said.push([null, writing.logText(log), grant]);
          } catch (error) {
            if (error.name !== "Refused") throw error;
            said.push([error.code, null, null]);
          }
        }
        return said;""",
    "signing": """
        const { signing, ed25519 } = modules;
        const signer = await ed25519.signerOf(bytes(given.seed));
        return signing.payoutRoute({ ...given.route, sealed: bytes(given.route.sealed), signer, now: given.now });""",
    "moves": """
        const { signing, owner, writing } = modules;
        const said = [];
        for (const { log: lines, requests, seed, pem, now } of given) {
          try {
            const log = await writing.openLog(lines, now);
            const asked = await signing.readMoveRequests(requests, log);
            const { multikey } = signing.documentNaming(log, asked.get("oldActor")).user;
            const signer = await owner.userSigner(log, bytes(seed), multikey);
            said.push(await signing.signMove(asked, { signer, actorKey: pem && (await signing.readRsaKey(pem)), now }));
          } catch (error) {
            if (error.name !== "Refused") throw error;
            said.push(error.code);
          }
        }
        return said;""",
    "lock": "return modules.keyfile.lock(given.secret, given.password, { salt: bytes(given.salt), nonce: bytes(given.nonce), memory_kib: given.memory_kib });",
    "unlock": """
        const said = [];
        for (const [file, password] of given) {
          try {
            said.push(await modules.keyfile.unlock(file, password));
          } catch (error) {
            if (error.name !== "Refused") throw error;
            said.push(error.code);
          }
        }
        return said;""",
    "verify": """
        const said = [];
        for (const [log, now] of given) {
          try {
            said.push((await modules.writing.openLog(log, now)).head.entry.versionId);
          } catch (error) {
            if (error.name !== "Refused") throw error;
            said.push(error.code);
          }
        }
        return said;""",
}


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def unb64(text: str) -> bytes:
    return b64decode(text)


def run(page: Page, scenario: str, given: Any) -> Any:
    """What a scenario returns for ``given``."""
    urls = {name: staticfiles_storage.url(f"identity/{name}.js") for name in MODULES}
    body = f"const scenarios = {{ {scenario}: async (modules, given, {{ bytes, base64 }}) => {{ {SCENARIOS[scenario]} }} }};"
    script = SCRIPT.replace("async ({ urls, given, body }) => {", "async ({ urls, given, body }) => {\n" + body)
    return json.loads(page.evaluate(script, {"urls": urls, "given": given, "body": scenario}))
