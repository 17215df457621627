// What was chosen in the settings: kept in this browser, or for this visit where storage is denied.

const PREFIX = "blipvino.";
const denied = new Map();

function stored(storage, name) {
  try {
    return storage().getItem(PREFIX + name);
  } catch {
    return denied.get(name) ?? null;
  }
}

function store(storage, name, value) {
  try {
    if (value) storage().setItem(PREFIX + name, value);
    else storage().removeItem(PREFIX + name);
  } catch {
    denied.set(name, value);
  }
}

const lasting = () => localStorage;
const ofVisit = () => sessionStorage;

/** The API key; kept beyond this visit only where that was asked for. */
export const key = () => stored(ofVisit, "key") ?? stored(lasting, "key") ?? "";
export const keepsKey = () => Boolean(stored(lasting, "key"));

export function setKey(value, keep) {
  store(lasting, "key", keep ? value : "");
  store(ofVisit, "key", keep ? "" : value);
}

/** Colours: "light", "dark", or "" for those of the system. */
export const theme = () => stored(lasting, "theme") ?? "";

export function setTheme(value) {
  store(lasting, "theme", value);
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
}

/** Whether pictures and conversations are kept. */
export const keepsHistory = () => stored(lasting, "history") !== "off";
export const setKeepsHistory = (keep) => store(lasting, "history", keep ? "" : "off");
