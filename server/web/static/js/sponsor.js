// Sponsor slots: after every fourth video one may be offered; it counts when half of it was visible for two seconds.

import { token } from "./ask.js";

const EVERY = 4;
const VISIBLE_MS = 2000;

const feed = document.querySelector("[data-feed]");
const asked = new Set();
const timers = new Map();

function post(address, values) {
  const body = new FormData();
  body.set("csrfmiddlewaretoken", token());
  for (const [name, value] of Object.entries(values)) body.set(name, value);
  return fetch(address, { method: "POST", body, headers: { Accept: "text/html" } }).catch(() => null);
}

async function ask(slide) {
  const answer = await post("/sponsor/slot", { after: slide.dataset.slide });
  if (!answer || answer.status !== 200) return;
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  const slot = template.content.querySelector("[data-slot]");
  if (!slot) return;
  slide.after(slot);
  shown.observe(slot);
}

const passing = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || asked.has(entry.target)) continue;
      const place = [...feed.querySelectorAll("[data-slide]")].indexOf(entry.target) + 1;
      if (place % EVERY !== 0) continue;
      asked.add(entry.target);
      ask(entry.target);
    }
  },
  { root: feed, threshold: 0.6 },
);

const shown = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const slot = entry.target;
      const video = slot.querySelector("video");
      clearTimeout(timers.get(slot));
      if (entry.isIntersecting) {
        video?.play().catch(() => {});
        timers.set(slot, setTimeout(() => { shown.unobserve(slot); post(slot.dataset.seen, { visible_ms: VISIBLE_MS }); }, VISIBLE_MS));
      } else video?.pause();
    }
  },
  { root: feed, threshold: 0.5 },
);

if (feed) {
  const adopt = () => feed.querySelectorAll("[data-slide]").forEach((slide) => passing.observe(slide));
  adopt();
  new MutationObserver(adopt).observe(feed, { childList: true });
}
