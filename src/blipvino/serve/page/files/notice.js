// What the page tells: to screen readers what is done, and to all what is wrong.

import { byId } from "./elements.js";

const banner = byId("notice");
const [text, button] = [banner.querySelector("p"), banner.querySelector("button")];

/** Have it read to who cannot see it. */
export function tell(message) {
  byId("told").textContent = message;
}

/** Show that something is wrong, with a button of what to do about it where there is something; calm where it passes. */
export function warn(message, { label = "", action = null, calm = false } = {}) {
  banner.classList.toggle("calm", calm);
  text.textContent = message;
  button.textContent = label;
  button.hidden = action === null;
  button.onclick = action;
  banner.hidden = false;
}

/** It is mended; with a message, only if that is what is shown. */
export function unwarn(message = text.textContent) {
  if (message === text.textContent) banner.hidden = true;
}
