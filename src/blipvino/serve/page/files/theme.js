// Before anything is drawn: the colours that were chosen. It is no module, so that it is not put off.
try {
  const theme = localStorage.getItem("blipvino.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is denied: the system's colours.
}
