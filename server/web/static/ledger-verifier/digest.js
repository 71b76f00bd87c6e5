// SHA-2 as the browser has it. WebCrypto exists where nobody on the way can change the page: https, localhost, a file on disk.

import { toHex } from "./bytes.js";

const digest = async (name, data) => new Uint8Array(await crypto.subtle.digest(name, data));

export const isAvailable = () => Boolean(globalThis.crypto?.subtle);

export const sha256 = (data) => digest("SHA-256", data);

export const sha512 = (data) => digest("SHA-512", data);

export const sha256Hex = async (data) => toHex(await sha256(data));
