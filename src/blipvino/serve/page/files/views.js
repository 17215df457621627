// The page's views: picture, search, history. The address says which is shown, so that Back goes back.

const links = [...document.querySelectorAll("nav [data-view]")];
const sections = [...document.querySelectorAll("main [data-view]")];
const listeners = new Map();

/** Show a view. */
export function go(view) {
  if (location.hash === `#${view}`) show();
  else location.hash = view;
}

/** Whether there is a view at all. */
export function offer(view, offered) {
  links.find((link) => link.dataset.view === view).hidden = !offered;
}

/** Call a function whenever a view is shown. */
export function whenShown(view, listener) {
  listeners.set(view, listener);
}

/** Show the view of the address, or the first. */
export function show() {
  const asked = location.hash.slice(1);
  const { view } = (links.find((link) => link.dataset.view === asked && !link.hidden) ?? links[0]).dataset;
  for (const section of sections) section.hidden = section.dataset.view !== view;
  for (const link of links) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  listeners.get(view)?.();
}

window.addEventListener("hashchange", () => {
  show();
  sections.find((section) => !section.hidden).querySelector("h2").focus({ preventScroll: true });
  window.scrollTo(0, 0);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the view's
  document.querySelector("main").focus();
});
