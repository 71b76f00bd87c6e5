// Short messages at the edge of the screen. The list is a live region: screen readers say what appears in it.

const SECONDS = 5;

/** Show `text` for a while; `kind` "error" stays until it is closed. */
export function toast(text, kind = "success") {
  const made = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  made.querySelector("[data-toast-text]").textContent = text;
  made.classList.toggle("toast-error", kind === "error");
  document.getElementById("toasts").append(made);
  if (kind !== "error") setTimeout(() => made.remove(), SECONDS * 1000);
}

/** Make the messages that came with the page close by themselves, and every cross work. */
export function tendToasts() {
  const list = document.getElementById("toasts");
  if (!list) return;
  list.addEventListener("click", (event) => {
    if (event.target.closest("[data-toast-close]")) event.target.closest(".toast").remove();
  });
  for (const each of list.querySelectorAll(".toast:not(.toast-error)")) setTimeout(() => each.remove(), SECONDS * 1000);
}
