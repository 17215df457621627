// The view of the history.

import { byId, element, icon, unseen } from "./elements.js";
import { forget, forgetAll, kept, MOST } from "./history.js";
import { keepsHistory } from "./preferences.js";
import { tell } from "./notice.js";
import { counted, moment } from "./words.js";

const HEADING = byId("history-heading");

/** The view: `open` is given the record that is chosen; `gone` the id of one that is deleted, or nothing when all are. */
export class Past {
  #open;
  #gone;
  #urls = [];

  constructor(open, gone) {
    this.#open = open;
    this.#gone = gone;
    byId("forget").addEventListener("click", () => {
      byId("sure").returnValue = "";
      byId("sure").showModal();
    });
    byId("sure").addEventListener("close", async ({ target }) => {
      if (target.returnValue !== "delete") return;
      await forgetAll();
      this.#gone();
      await this.show();
      tell("The history is deleted.");
      HEADING.focus();
    });
  }

  /** Show what is kept now. */
  async show() {
    let records = [];
    let hint = "";
    try {
      records = await kept();
    } catch {
      hint = "This browser keeps no data of this page, so there is no history.";
    }
    if (!hint) hint = keepsHistory() ? `The last ${MOST} pictures are kept in this browser, and nowhere else.` : "No history is kept; Settings changes that.";
    byId("history-hint").textContent = hint;
    byId("forget").hidden = records.length === 0;
    this.#urls.forEach((url) => URL.revokeObjectURL(url));
    this.#urls = [];
    byId("past").replaceChildren(...records.map((record) => this.#item(record)));
  }

  #item(record) {
    const caption = record.turns.find(({ question }) => question === null)?.texts[0].text ?? record.name;
    const questions = record.turns.filter(({ question }) => question !== null).length;
    const facts = [moment(record.created), questions ? counted(questions, "question") : null].filter(Boolean).join(" · ");
    const text = element("span", { className: "line" }, element("strong", { textContent: caption }), element("span", { className: "detail", textContent: facts }));
    const open = element("button", { type: "button", className: "entry" }, this.#thumbnail(record), text);
    open.addEventListener("click", () => this.#open(record));
    const remove = element("button", { type: "button", className: "round" }, icon("bin"), unseen(`Delete ${caption}`));
    remove.addEventListener("click", async () => {
      await forget(record.id);
      this.#gone(record.id);
      await this.show();
      tell("Deleted.");
      HEADING.focus();
    });
    return element("li", {}, open, remove);
  }

  #thumbnail(record) {
    if (!record.small) return element("span", { className: "thumbnail" }, icon("picture"));
    const url = URL.createObjectURL(record.small);
    this.#urls.push(url);
    return element("img", { className: "thumbnail", src: url, alt: "" });
  }
}
