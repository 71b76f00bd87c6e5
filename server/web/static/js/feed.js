// The vertical feed: the video in view plays, the next two load, the rest gives its memory back.

import { fragment } from "./ask.js";
import { drawBlurs } from "./blurhash.js";
import { pointAt, showComments, tendComments } from "./comments.js";
import { tendKeys } from "./keys.js";
import { Player, heartAt } from "./player.js";
import { toggle, writeCount } from "./toggles.js";

const AHEAD = 2;
const BEHIND = 1;
const MORE_BEFORE_END = 3;

const feed = document.querySelector("[data-feed]");
const drawer = document.getElementById("drawer");
const drawerBody = drawer.querySelector("[data-drawer-body]");
const drawerFoot = drawer.querySelector("[data-drawer-foot]");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const players = new Map();
let active = null;
let isLoading = false;

const slides = () => [...feed.querySelectorAll("[data-slide]")];
const likeForm = (slide) => slide.querySelector('[data-verb="like"]').form;

function like(slide, { onlyOn = false } = {}) {
  const form = likeForm(slide);
  const isOn = form.querySelector("button").getAttribute("aria-pressed") === "true";
  if (!onlyOn || !isOn) toggle(form);
}

function fold(slide) {
  const caption = slide.querySelector("[data-fold]");
  if (!caption) return;
  caption.classList.add("is-folded");
  requestAnimationFrame(() => {
    if (caption.scrollHeight <= caption.clientHeight + 2) return;
    const more = document.createElement("button");
    more.type = "button";
    more.className = "slide-more";
    more.textContent = "More";
    more.setAttribute("aria-expanded", "false");
    more.addEventListener("click", () => {
      const isFolded = caption.classList.toggle("is-folded");
      more.textContent = isFolded ? "More" : "Less";
      more.setAttribute("aria-expanded", String(!isFolded));
    });
    caption.after(more);
  });
}

function adopt(root) {
  drawBlurs(root);
  for (const slide of root.querySelectorAll("[data-slide]")) {
    const player = new Player(slide, {
      onDoubleTap: (event) => {
        heartAt(slide.querySelector("[data-player]"), event);
        like(slide, { onlyOn: true });
      },
    });
    players.set(slide, player);
    fold(slide);
    watcher.observe(slide);
  }
}

function activate(slide) {
  if (slide === active) return;
  const before = active;
  active = slide;
  if (before) {
    players.get(before)?.pause();
    players.get(before)?.report();
  }
  const all = slides();
  const at = all.indexOf(slide);
  players.get(slide).play();
  const saving = navigator.connection?.saveData;
  all.forEach((each, index) => {
    if (each === slide) return;
    if (index > at && index <= at + AHEAD && !saving) players.get(each).prepare();
    else if (index < at - BEHIND || index > at + AHEAD) players.get(each).release();
  });
  if (drawer.open && !drawer.matches(":modal")) openComments();
  if (all.length - at <= MORE_BEFORE_END) loadMore();
}

async function loadMore() {
  const more = feed.querySelector("[data-more]");
  if (!more || isLoading) return;
  isLoading = true;
  const content = await fragment(more.querySelector("a").href, "slides");
  isLoading = false;
  if (!content) return;
  const holder = document.createElement("div");
  holder.append(content);
  const fresh = [...holder.children];
  adopt(holder);
  more.replaceWith(...fresh);
}

function step(by) {
  const all = slides();
  const stops = [...all, ...feed.querySelectorAll("[data-end]")];
  const next = stops[Math.max(0, all.indexOf(active)) + by];
  next?.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
}

async function openComments() {
  if (!active) return;
  const address = active.querySelector("[data-comments]").dataset.comments;
  const slide = active;
  if (!drawer.open) {
    drawerBody.replaceChildren();
    drawerFoot.replaceChildren();
    if (matchMedia("(min-width: 60rem)").matches) drawer.show();
    else drawer.showModal();
  }
  const isShown = await showComments(address, drawerBody, drawerFoot);
  if (!isShown && slide === active) location.assign(`${slide.dataset.link}#comments`);
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) activate(entry.target);
  },
  { root: feed, threshold: 0.6 },
);

feed.addEventListener("click", (event) => {
  const link = event.target.closest("[data-comments]");
  if (!link) return;
  event.preventDefault();
  if (drawer.open) {
    drawer.close();
    return;
  }
  activate(link.closest("[data-slide]"));
  openComments();
});

drawer.querySelector("[data-drawer-close]").addEventListener("click", () => drawer.close());
drawer.addEventListener("close", () => active?.querySelector("[data-comments]")?.focus({ preventScroll: true }));
tendComments(drawer, async (answer) => {
  const link = active.querySelector("[data-comments]");
  await showComments(link.dataset.comments, drawerBody, drawerFoot);
  writeCount(link.querySelector("[data-comment-count]"), answer.count);
  if (answer.id) pointAt(answer.id);
});

for (const each of document.querySelectorAll("[data-step]")) each.addEventListener("click", () => step(Number(each.dataset.step)));

tendKeys({
  j: () => step(1),
  ArrowDown: () => step(1),
  k: () => step(-1),
  ArrowUp: () => step(-1),
  " ": () => active && players.get(active).toggle(),
  m: () => active && players.get(active).toggleSound(),
  l: () => active && like(active),
  c: () => (drawer.open ? drawer.close() : openComments()),
  f: () => active?.querySelector("form[data-follow]")?.requestSubmit(),
  Escape: () => drawer.open && drawer.close(),
  "?": () => document.getElementById("keys").showModal(),
});

document.addEventListener("visibilitychange", () => {
  if (!active) return;
  if (document.hidden) players.get(active).sleep();
  else players.get(active).wake();
});
addEventListener("pagehide", () => active && players.get(active).report());

adopt(feed);
