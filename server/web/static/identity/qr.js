// A QR code as an SVG element: one path, no style attribute, as our content security policy wants it.

import { encodeQR } from "../vendor/qr/index.js";

const SVG = "http://www.w3.org/2000/svg";
// The quiet zone that ISO 18004 asks for.
const BORDER = 4;

export function drawQr(text, label) {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: BORDER });
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", rows.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")).join("")).join(""));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  svg.setAttribute("class", "qr");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.append(path);
  return svg;
}
