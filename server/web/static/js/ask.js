// How our scripts talk to the server: the same forms that people send, answered in JSON.

import { toast } from "./toasts.js";

/** Send a form. Returns the JSON answer; on a refusal says why and returns null. A visitor is taken to log in. */
export async function send(form) {
  let response;
  try {
    response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
  } catch {
    toast("The server cannot be reached. Check your connection and try again.", "error");
    return null;
  }
  if (response.status === 401) {
    logIn();
    return null;
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    toast(answer.error || "Something went wrong. Reload the page and try again.", "error");
    return null;
  }
  if (answer.message) toast(answer.message);
  return answer;
}

/** A part of a page as nodes; null when it could not be had. */
export async function fragment(address, name) {
  try {
    const response = await fetch(address, { headers: { "X-Fragment": name } });
    if (!response.ok) return null;
    const template = document.createElement("template");
    template.innerHTML = await response.text();
    return template.content;
  } catch {
    return null;
  }
}

/** Go and log in, and come back here. */
export function logIn() {
  const back = encodeURIComponent(location.pathname + location.search);
  location.assign(`${document.body.dataset.logIn}?next=${back}`);
}

/** A token for requests that no form sends. */
export function token() {
  return document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
}
