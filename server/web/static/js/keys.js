// The keys of the feed and the watch page.

/** Is the viewer writing, or on something that has its own use for the key? */
function isTaken(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  const at = event.target;
  if (!(at instanceof Element)) return false;
  if (at.closest("input:not([type=range]), textarea, select, [contenteditable]")) return true;
  if (document.querySelector("dialog:modal")) return true;
  if (at.closest("input[type=range], .drawer, details[open]") && event.key.startsWith("Arrow")) return true;
  return event.key === " " && at.closest("button, a, summary, input") !== null;
}

/** Call the function named by the key; keys without one keep their usual meaning. */
export function tendKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || isTaken(event)) return;
    event.preventDefault();
    action();
  });
}
