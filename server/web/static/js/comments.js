// Comments without leaving the page: sent, answered and deleted where they stand.

import { fragment, send } from "./ask.js";

/** Take over comment forms inside `root`. `refresh(answer)` shows the new state after each change. */
export function tendComments(root, refresh) {
  root.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-comment-form], [data-delete-comment]");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    const answer = await send(form);
    button.disabled = false;
    if (!answer) return;
    form.reset();
    await refresh(answer);
  });
  root.addEventListener("keydown", (event) => {
    const form = event.target.closest("[data-comment-form]");
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  root.addEventListener(
    "toggle",
    (event) => {
      if (event.target.matches("[data-answer][open]")) event.target.querySelector("textarea").focus();
    },
    true,
  );
}

/** Fetch the comments at `address` into the two places. Returns false when they could not be had. */
export async function showComments(address, body, foot) {
  const content = await fragment(address, "comments");
  if (!content) return false;
  body.replaceChildren(...content.querySelector("[data-drawer-part=body]").childNodes);
  foot.replaceChildren(...content.querySelector("[data-drawer-part=foot]").childNodes);
  return true;
}

/** Bring a comment into view and say it to those who listen. */
export function pointAt(id) {
  const comment = document.getElementById(`comment-${id}`);
  if (!comment) return;
  comment.setAttribute("tabindex", "-1");
  comment.focus({ preventScroll: true });
  comment.scrollIntoView({ block: "nearest" });
}
