// A conversation as it is shown: a turn is a caption or a question, and what each model says to it.

import { byId, element } from "./elements.js";
import { duration } from "./words.js";

const list = byId("turns");

/** Show no turns. */
export function clearTurns() {
  list.replaceChildren();
  byId("empty").hidden = false;
}

/** A turn; it is given a place for the text of each model. */
export class Turn {
  constructor(question, models) {
    const title = question === null ? "Caption" : question;
    const heading = element("h3", { className: question === null ? "unseen" : "question", textContent: title });
    this.answers = element("div", { className: "answers" });
    this.item = element("li", { className: "turn" }, heading, this.answers);
    this.places = models.map((model) => new Answer(model, models.length > 1));
    this.answers.append(...this.places.map((place) => place.article));
    byId("empty").hidden = true;
    list.append(this.item);
    this.reveal();
  }

  /** Have all of it be seen, where it fits. */
  reveal() {
    this.item.scrollIntoView({ block: "nearest" });
  }

  /** Offer to ask again. */
  offerRetry(action) {
    const button = element("button", { type: "button", textContent: "Try again" });
    button.addEventListener("click", () => {
      this.remove();
      action();
    });
    this.item.append(button);
  }

  remove() {
    this.item.remove();
  }
}

/** What one model says. */
class Answer {
  constructor(model, named) {
    this.model = model;
    this.text = element("p", { className: "text" });
    this.time = element("p", { className: "time" });
    const detail = model.detail ? element("span", { className: "detail", textContent: model.detail }) : null;
    const who = named ? element("h4", { className: "who" }, model.name, detail) : null;
    this.article = element("div", { className: "answer" }, ...[who, this.text, this.time].filter(Boolean));
  }

  /** It is being made. */
  begin() {
    this.article.classList.add("growing");
    this.time.textContent = "";
  }

  /** It has so much text now. */
  grow(text) {
    this.text.textContent = text;
  }

  /** It waits for the server, which is busy for so many seconds. */
  wait(seconds) {
    this.time.textContent = seconds ? `The server is busy. Asking again in ${duration(1000 * seconds)}.` : "";
  }

  /** It is whole. */
  finish({ text, first, whole }) {
    this.article.classList.remove("growing");
    this.article.classList.toggle("blank", !text);
    this.text.textContent = text || "(nothing)";
    this.time.textContent = whole > first ? `${duration(whole)}, first word after ${duration(first)}` : duration(whole);
  }

  /** It ends here, for a reason. */
  end(reason, wrong) {
    this.article.classList.remove("growing");
    this.article.classList.toggle("wrong", wrong);
    this.time.textContent = reason;
  }
}
