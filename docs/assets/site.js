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

// Names and options are not torn at their hyphens, or in the middle in a narrow column; long ones have to be.
const LONGEST = 30;
for (const code of document.querySelectorAll(".md-typeset :not(pre, h2, h3) > code")) {
  code.classList.toggle("whole", code.textContent.length <= LONGEST);
}
