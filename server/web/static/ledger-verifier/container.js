// The file of a statement: gzip in which no byte can change unseen: payouts/ledger/container.py.

import { concat, fromHex, isEqual, startsWith } from "./bytes.js";
import { sha256 } from "./digest.js";
import { refuse } from "./refused.js";

export const FILE_BYTES_MAX = 16 * 1024 * 1024;
export const TEXT_BYTES_MAX = 32 * 1024 * 1024;
// RFC 1952 2.3: magic, DEFLATE, FEXTRA only, no time, slowest compression, unknown system; XLEN 36, TS, 32 bytes.
const HEADER = fromHex("1f8b08040000000002ff240054532000");
const BODY_AT = HEADER.length + 32;
const TRAILER_BYTES = 8;
// DEFLATE grows by at most 1032: one piece becomes at most 4 MiB before the count is looked at.
const PIECE_BYTES = 4_096;

/** The text of a file. */
export async function unpack(data) {
  if (data.length > FILE_BYTES_MAX) refuse("too_large", `${data.length} bytes`);
  const body = data.subarray(BODY_AT);
  if (!startsWith(data, HEADER) || !isEqual(await sha256(body), data.subarray(HEADER.length, BODY_AT))) {
    refuse("statement_damaged");
  }
  const text = await inflate(body.subarray(0, Math.max(0, body.length - TRAILER_BYTES)));
  const trailer = new DataView(new ArrayBuffer(TRAILER_BYTES));
  trailer.setUint32(0, crc32(text), true);
  trailer.setUint32(4, text.length, true);
  if (!isEqual(new Uint8Array(trailer.buffer), body.subarray(Math.max(0, body.length - TRAILER_BYTES)))) {
    refuse("statement_damaged", "the trailer is of another text");
  }
  return text;
}

/** Exactly one DEFLATE stream and nothing behind it; more than the limit is refused before it is held. */
async function inflate(data) {
  const stream = new DecompressionStream("deflate-raw");
  const fed = feed(stream.writable.getWriter(), data);
  const reader = stream.readable.getReader();
  const pieces = [];
  let size = 0;
  let isWhole = true;
  for (;;) {
    const step = await reader.read().catch(() => null);
    if (step === null || step.done) {
      isWhole = step !== null;
      break;
    }
    size += step.value.length;
    if (size > TEXT_BYTES_MAX) {
      await reader.cancel().catch(() => undefined);
      refuse("too_large", "the text is too long");
    }
    pieces.push(step.value);
  }
  if (!(await fed) || !isWhole) refuse("statement_damaged", "no DEFLATE stream, or more than one");
  return concat(...pieces);
}

/** Whether the stream took everything. */
async function feed(writer, data) {
  writer.closed.catch(() => undefined);
  try {
    for (let at = 0; at < data.length; at += PIECE_BYTES) {
      await writer.ready;
      await writer.write(data.subarray(at, at + PIECE_BYTES));
    }
    await writer.close();
    return true;
  } catch {
    return false;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, start) => {
  let value = start;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(data) {
  let value = 0xffffffff;
  for (const byte of data) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
