// The upload form: look before sending, show the progress, put each error beside its field.

import { logIn } from "./ask.js";
import { toast } from "./toasts.js";

const form = document.querySelector("[data-upload]");
const drop = form.querySelector("[data-drop]");
const input = form.querySelector("input[type=file]");
const fileName = form.querySelector("[data-file-name]");
const progress = form.querySelector("[data-progress]");
const bar = progress.querySelector("progress");
const words = progress.querySelector("[data-progress-text]");
const sendButton = form.querySelector("[data-send]");
const EXTENSIONS = [".mp4", ".mov", ".webm"];
let request = null;

const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

function placeFor(name) {
  const field = form.elements[name];
  return form.querySelector(`[data-errors-for="${name}"]`) ?? (field instanceof Element ? field.closest(".field, .switch") : null);
}

function clearErrors() {
  for (const each of form.querySelectorAll(".field-errors, .form-errors")) each.remove();
  for (const each of form.querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
}

function showError(name, text) {
  const place = placeFor(name);
  const line = document.createElement("div");
  line.className = place ? "field-errors" : "form-errors";
  line.id = `id_${name}_error`;
  line.setAttribute("role", "alert");
  line.textContent = text;
  (place ?? form).prepend(line);
  if (place) place.append(line);
  const field = form.elements[name];
  if (field instanceof Element) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", line.id);
    (name === "file" ? drop : field).setAttribute("aria-invalid", "true");
    field.focus();
  }
}

function problemWith(file) {
  if (!file) return "Choose a video file.";
  if (!EXTENSIONS.some((each) => file.name.toLowerCase().endsWith(each))) return "Only .mp4, .mov and .webm files can be uploaded.";
  if (file.size === 0) return "The file is empty.";
  if (file.size > Number(form.dataset.bytesMax)) return `The file is larger than ${form.dataset.mibMax} MiB, the most this server takes.`;
  return "";
}

function chosen() {
  const [file] = input.files;
  clearErrors();
  drop.querySelector("video")?.remove();
  drop.classList.remove("has-preview");
  fileName.textContent = file ? `${file.name} · ${mib(file.size)}` : "";
  if (!file) return;
  const problem = problemWith(file);
  if (problem) return showError("file", problem);
  const preview = document.createElement("video");
  preview.muted = preview.loop = preview.playsInline = true;
  preview.src = URL.createObjectURL(file);
  preview.setAttribute("aria-hidden", "true");
  preview.addEventListener("error", () => {
    // The browser cannot show it; the server may still be able to read it.
    preview.remove();
    drop.classList.remove("has-preview");
  });
  drop.prepend(preview);
  drop.classList.add("has-preview");
  preview.play().catch(() => undefined);
  return undefined;
}

function finish() {
  progress.hidden = true;
  sendButton.disabled = false;
  request = null;
}

function answered() {
  const { status } = request;
  let answer = {};
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    answer = { error: "The server gave an answer we do not understand. Nothing was lost here: try again." };
  }
  finish();
  if (status === 401) return logIn();
  if (status < 300) {
    leaving = true;
    return location.assign(answer.location);
  }
  const errors = Object.entries(answer.errors ?? { __all__: [{ message: answer.error }] });
  for (const [name, list] of errors.reverse()) showError(name, list.map((each) => each.message).join(" "));
  return undefined;
}

let leaving = false;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (request) return;
  clearErrors();
  const problem = problemWith(input.files[0]);
  if (problem) {
    showError("file", problem);
    return;
  }
  request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (step) => {
    const percent = step.lengthComputable ? Math.floor((step.loaded / step.total) * 100) : 0;
    bar.value = percent;
    words.textContent = percent < 100 ? `Uploading: ${percent} % of ${mib(step.total)}` : "Almost there: the server writes it down.";
  });
  request.addEventListener("load", answered);
  request.addEventListener("error", () => {
    finish();
    toast("The connection broke. Your words are still here: try again.", "error");
  });
  request.addEventListener("abort", () => {
    finish();
    toast("Cancelled. Nothing was kept on the server.");
  });
  bar.value = 0;
  words.textContent = "Uploading";
  progress.hidden = false;
  sendButton.disabled = true;
  request.send(new FormData(form));
});

form.querySelector("[data-cancel]").addEventListener("click", () => request?.abort());
input.addEventListener("change", chosen);
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, () => drop.classList.add("is-over"));
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("is-over"));
addEventListener("beforeunload", (event) => {
  if (request && !leaving) event.preventDefault();
});
