// The watch page: the player, and comments without leaving it.

import { pointAt, showComments, tendComments } from "./comments.js";
import { tendKeys } from "./keys.js";
import { Player, heartAt } from "./player.js";
import { toggle, writeCount } from "./toggles.js";

const slide = document.querySelector("[data-slide]");
const section = document.querySelector("[data-comments-section]");
const likeForm = slide.querySelector('[data-verb="like"]').form;
const isLiked = () => likeForm.querySelector("button").getAttribute("aria-pressed") === "true";

const player = new Player(slide, {
  onDoubleTap: (event) => {
    heartAt(slide.querySelector("[data-player]"), event);
    if (!isLiked()) toggle(likeForm);
  },
});
if (!location.hash) player.play();
else player.pause({ byViewer: true });

slide.querySelector("[data-comments]").addEventListener("click", (event) => {
  event.preventDefault();
  section.scrollIntoView();
  section.querySelector("textarea")?.focus({ preventScroll: true });
});

tendComments(section, async (answer) => {
  await showComments(section.dataset.source, section.querySelector("[data-drawer-part=body]"), section.querySelector("[data-drawer-part=foot]"));
  writeCount(slide.querySelector("[data-comment-count]"), answer.count);
  if (answer.id) pointAt(answer.id);
});

tendKeys({
  " ": () => player.toggle(),
  m: () => player.toggleSound(),
  l: () => toggle(likeForm),
  c: () => slide.querySelector("[data-comments]").click(),
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) player.sleep();
  else player.wake();
});
addEventListener("pagehide", () => player.report());
