// Your archive: ask again while one is being made or brought.

import { fragment } from "./ask.js";

const SECONDS = 2;
const part = document.querySelector("[data-state-of-archive]");

async function refresh() {
  if (!document.hidden && !part.contains(document.activeElement)) {
    const content = await fragment(location.pathname, "archive");
    if (content) part.replaceChildren(content);
  }
  plan();
}

function plan() {
  if (part.querySelector("[data-working]")) setTimeout(refresh, SECONDS * 1000);
}

plan();
