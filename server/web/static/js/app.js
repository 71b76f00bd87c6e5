// What every page does: toggles, copied links, menus, dialogs, messages, blurs, older tiles.

import { fragment } from "./ask.js";
import { drawBlurs } from "./blurhash.js";
import { tendToasts, toast } from "./toasts.js";
import { tendToggles } from "./toggles.js";

async function copyLink(link) {
  const address = new URL(link.href, location.href).href;
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (isPhone && navigator.share) {
    // A closed share sheet is no error.
    await navigator.share({ url: address }).catch(() => undefined);
    return;
  }
  try {
    await navigator.clipboard.writeText(address);
    toast("Link copied.");
  } catch {
    location.assign(address);
  }
}

async function loadOlder(pager) {
  const content = await fragment(pager.querySelector("a").href, "tiles");
  if (!content) return;
  drawBlurs(content);
  pager.replaceWith(content);
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const copy = event.target.closest("a[data-copy]");
  if (copy) {
    event.preventDefault();
    copyLink(copy);
  }
  const older = event.target.closest("[data-pager] a");
  if (older) {
    event.preventDefault();
    loadOlder(older.closest("[data-pager]"));
  }
  const opener = event.target.closest("[data-open-dialog]");
  if (opener) document.getElementById(opener.dataset.openDialog).showModal();
  const closer = event.target.closest("[data-close-dialog]");
  if (closer) closer.closest("dialog").close();
  // A click beside a modal dialog closes it.
  if (event.target instanceof HTMLDialogElement && event.target.matches(":modal")) event.target.close();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form that other servers have to answer: it says that it waits, and is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-waits]");
  if (!form) return;
  if (form.dataset.busy) return event.preventDefault();
  form.dataset.busy = "1";
  const button = event.submitter ?? form.querySelector("button");
  button?.setAttribute("aria-busy", "true");
  if (button) button.textContent = "Waiting for an answer…";
});
// Back from the next page, the browser may show this one as it was left.
addEventListener("pageshow", (event) => event.persisted && document.querySelector("form[data-busy]") && location.reload());

tendToasts();
tendToggles();
drawBlurs();
