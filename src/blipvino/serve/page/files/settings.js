// The dialog of settings.

import { byId, closable } from "./elements.js";
import * as preferences from "./preferences.js";

const dialog = byId("settings");

/** Have the dialog open by its button, and `changed` be called when other settings are saved. */
export function offerSettings(changed) {
  closable(dialog);
  byId("open-settings").addEventListener("click", openSettings);
  byId("settings-form").addEventListener("submit", () => {
    preferences.setKey(byId("key").value.trim(), byId("keep-key").checked);
    preferences.setTheme(byId("theme").value);
    preferences.setKeepsHistory(byId("keep-history").checked);
    changed();
  });
}

/** Open it. */
export function openSettings() {
  byId("key").value = preferences.key();
  byId("keep-key").checked = preferences.keepsKey();
  byId("theme").value = preferences.theme();
  byId("keep-history").checked = preferences.keepsHistory();
  dialog.showModal();
}
