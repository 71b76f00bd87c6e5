// The recovery kit as one file: the offline tool with an encrypted key file inside. Made in the browser; nothing is sent.

import { lock } from "./keyfile.js";

// Where the tool's file waits for a kit (templates/identity/offline.html).
const EMPTY = '<script type="application/json" id="kit">null</script>';

/** The kit's HTML: `tool` is the text of the offline tool, `secret` what lies in the key file under `password`. */
export async function kitFile(tool, { handle, ...secret }, password) {
  if (tool.split(EMPTY).length !== 2) throw new Error("this is not the offline tool");
  const keyFile = await lock(secret, password);
  // Inside of a script element only "<" could end it.
  const kit = JSON.stringify({ keyFile, handle, scid: secret.scid }).replaceAll("<", "\\u003c");
  return tool.replace(EMPTY, () => `<script type="application/json" id="kit">${kit}</script>`);
}
