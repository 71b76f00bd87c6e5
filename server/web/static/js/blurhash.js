// Decode a blurhash (https://github.com/woltapp/blurhash, Algorithm.md) into a small canvas that stands in for a picture.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";
const SIDE = 24;

const number = (text) => [...text].reduce((sum, digit) => sum * 83 + DIGITS.indexOf(digit), 0);
const linear = (byte) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
};
const byteOf = (value) => {
  const clipped = Math.min(1, Math.max(0, value));
  return Math.round((clipped <= 0.0031308 ? clipped * 12.92 : 1.055 * clipped ** (1 / 2.4) - 0.055) * 255);
};
const signedSquare = (value) => Math.sign(value) * value * value;

function components(hash) {
  const size = number(hash[0]);
  const across = (size % 9) + 1;
  const down = Math.floor(size / 9) + 1;
  if (hash.length !== 4 + 2 * across * down) return null;
  const largest = (number(hash[1]) + 1) / 166;
  const first = number(hash.slice(2, 6));
  const found = [[linear(first >> 16), linear((first >> 8) & 255), linear(first & 255)]];
  for (let at = 6; at < hash.length; at += 2) {
    const value = number(hash.slice(at, at + 2));
    found.push([Math.floor(value / 361), Math.floor(value / 19) % 19, value % 19].map((each) => signedSquare((each - 9) / 9) * largest));
  }
  return { across, down, found };
}

/** A canvas with the colours of `hash`; null for what is no blurhash. */
export function blurCanvas(hash) {
  if (!hash || hash.length < 6 || [...hash].some((digit) => !DIGITS.includes(digit))) return null;
  const parts = components(hash);
  if (!parts) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d");
  const picture = context.createImageData(SIDE, SIDE);
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const colour = [0, 0, 0];
      parts.found.forEach((part, index) => {
        const wave = Math.cos((Math.PI * x * (index % parts.across)) / SIDE) * Math.cos((Math.PI * y * Math.floor(index / parts.across)) / SIDE);
        for (let channel = 0; channel < 3; channel += 1) colour[channel] += part[channel] * wave;
      });
      picture.data.set([...colour.map(byteOf), 255], 4 * (x + y * SIDE));
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** Put the blur behind every element of `root` that names one and has none yet. */
export function drawBlurs(root = document) {
  for (const each of root.querySelectorAll("[data-blurhash]:not([data-blurred])")) {
    each.dataset.blurred = "";
    const canvas = blurCanvas(each.dataset.blurhash);
    if (!canvas) continue;
    canvas.className = each.matches("[data-player]") ? "stage-blur" : "tile-blur";
    each.prepend(canvas);
  }
}
