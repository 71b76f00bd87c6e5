// The studio: ask again while a video is being prepared, and ask twice before one is deleted.

import { fragment } from "./ask.js";
import { drawBlurs } from "./blurhash.js";

const SECONDS = 2;
const list = document.querySelector("[data-works]");
const dialog = document.getElementById("delete-dialog");

async function refresh() {
  if (!document.hidden && !dialog.open) {
    const content = await fragment(list.dataset.source, "works");
    const holder = document.createElement("div");
    if (content) holder.append(content);
    // Redraw only what changed, so that nobody loses her place for nothing.
    if (content && !list.contains(document.activeElement)) {
      list.replaceChildren(...holder.childNodes);
      drawBlurs(list);
    }
  }
  plan();
}

function plan() {
  if (list.querySelector("[data-working]")) setTimeout(refresh, SECONDS * 1000);
}

list.addEventListener("click", (event) => {
  const link = event.target.closest("[data-delete]");
  if (!link) return;
  event.preventDefault();
  dialog.querySelector("[data-delete-form]").action = link.dataset.delete;
  dialog.showModal();
});

plan();
