// Making and finding elements.

const SVG = "http://www.w3.org/2000/svg";

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

/** An element with properties (`dataset` and `aria` are objects) and children; children of null are left out. */
export function element(tag, { dataset = {}, aria = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, dataset);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** One of the page's icons; what it means is told beside it. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  drawing.append(use);
  return drawing;
}

/** Text for screen readers alone. */
export const unseen = (text) => element("span", { className: "unseen", textContent: text });

/** Have every button of a dialog that closes it do so, and a click beside it, too. */
export function closable(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
}
