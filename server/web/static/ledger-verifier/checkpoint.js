// Checkpoints (C2SP tlog-checkpoint): the signed size and root of a log: payouts/ledger/checkpoint.py.

import { hashFromBase64 } from "./fields.js";
import { SIZE_MAX } from "./merkle.js";
import { openNote } from "./note.js";
import { Refused, refuse } from "./refused.js";

const SIZE = /^(?:0|[1-9][0-9]{0,18})$/;

/** The checkpoint of the log `origin`, signed by one of its keys; cosignatures by `cosigners` stand beside it. */
export async function openCheckpoint(data, { origin, logKeys, cosigners = [], onlyKnown = false }) {
  const { text, signatures } = await openNote(data, [...logKeys, ...cosigners], onlyKnown);
  if (!signatures.some((one) => logKeys.some((key) => key.text === one.key.text))) {
    refuse("no_known_signature", "the log itself did not sign");
  }
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== origin) refuse("wrong_origin", `${checkpoint.origin.slice(0, 200)}, not ${origin}`);
  return { ...checkpoint, signatures };
}

function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.length < 4 || lines.pop() !== "" || lines.includes("")) {
    refuse("malformed_checkpoint", "fewer than three lines, or an empty one");
  }
  const [origin, size, root, ...extensions] = lines;
  if (!SIZE.test(size) || BigInt(size) > SIZE_MAX) refuse("malformed_checkpoint", `size ${size.slice(0, 40)}`);
  try {
    return { origin, size: BigInt(size), root: hashFromBase64(root), extensions };
  } catch (error) {
    if (error instanceof Refused) refuse("malformed_checkpoint", `root ${root.slice(0, 80)}`);
    throw error;
  }
}
