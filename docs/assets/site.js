// What scrolls sideways can be reached by the keyboard; what does not is no stop on the way.
function reach() {
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (wide.scrollWidth > wide.clientWidth) {
      wide.tabIndex = 0;
      wide.setAttribute("role", "region");
      wide.setAttribute("aria-label", "Wide table, scrolls sideways");
    } else {
      wide.removeAttribute("tabindex");
      wide.removeAttribute("role");
      wide.removeAttribute("aria-label");
    }
  }
}
window.addEventListener("load", reach);
window.addEventListener("resize", reach);
