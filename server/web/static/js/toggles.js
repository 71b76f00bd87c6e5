// Like, pass on, follow: the button answers at once and is put right when the server has spoken.

import { send } from "./ask.js";

const short = (count) => {
  for (const [size, letter] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (count >= size) {
      const tenths = Math.floor((count * 10) / size);
      return tenths >= 100 || tenths % 10 === 0 ? `${Math.floor(tenths / 10)}${letter}` : `${(tenths / 10).toFixed(1)}${letter}`;
    }
  }
  return String(count);
};

/** Write a count, unless it stands there already: a live region speaks only when something changes. */
export function writeCount(element, count) {
  const text = short(count);
  if (element && element.textContent !== text) element.textContent = text;
}

function show(form, isOn, state = isOn ? "accepted" : "") {
  const button = form.querySelector("button");
  button.setAttribute("aria-pressed", String(isOn));
  form.action = isOn ? form.dataset.off : form.dataset.on;
  const label = form.querySelector("[data-follow-label]");
  if (label) label.textContent = { accepted: "Following", pending: "Asked" }[state] ?? "Follow";
}

const alike = (form) => (form.dataset.follow ? document.querySelectorAll(`form[data-follow="${CSS.escape(form.dataset.follow)}"]`) : [form]);

/** Send the toggle `form`. Does nothing while an earlier press is on its way. */
export async function toggle(form) {
  if (form.dataset.busy) return;
  form.dataset.busy = "1";
  const wasOn = form.querySelector("button").getAttribute("aria-pressed") === "true";
  const wasLabel = form.querySelector("[data-follow-label]")?.textContent;
  const answering = send(form);
  for (const each of alike(form)) show(each, !wasOn);
  const answer = await answering;
  delete form.dataset.busy;
  for (const each of alike(form)) show(each, answer ? answer.on : wasOn, answer ? answer.state : wasLabel === "Asked" ? "pending" : undefined);
  if (!answer) return;
  writeCount(form.querySelector("[data-count]"), answer.count);
  if (form.dataset.follow) writeCount(document.querySelector("[data-follower-count]"), answer.count);
}

/** Take over every toggle form of the page, also those that come later. */
export function tendToggles() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-toggle]");
    if (!form) return;
    event.preventDefault();
    toggle(form);
  });
}
