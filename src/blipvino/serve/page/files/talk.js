// The conversation about a picture: its caption, then questions, each asked of every model that is chosen.

import { chosen } from "./models.js";
import { tell } from "./notice.js";
import { pieces } from "./server.js";
import { clearTurns, Turn } from "./turns.js";

/** One conversation at a time. */
export class Talk {
  #record = null; // as the history keeps it: the picture and the turns that are whole
  #aborting = null; // of the turn that is being made
  #remember;
  #changed;

  /** `remember` is given every record that grew; `changed` is called when a turn begins and when it ends. */
  constructor(remember, changed) {
    this.#remember = remember;
    this.#changed = changed;
  }

  get picture() {
    return this.#record;
  }

  get isBusy() {
    return this.#aborting !== null;
  }

  /** Have a new picture captioned. */
  async begin(picture) {
    this.stop();
    clearTurns();
    this.#record = { ...picture, created: Date.now(), turns: [] };
    this.#changed();
    await this.catchUp();
  }

  /** Have the picture captioned if it is not, and there is a model that can: one that came early waits for that. */
  async catchUp() {
    const waits = this.#record && !this.isBusy && this.#record.turns.length === 0;
    if (waits && chosen("caption").length) await this.#turn(null);
  }

  /** Go on with a conversation of the history. */
  resume(record) {
    this.stop();
    clearTurns();
    this.#record = record;
    for (const { question, texts } of record.turns) {
      const turn = new Turn(question, texts.map(({ model, detail }) => ({ name: model, detail })));
      turn.places.forEach((place, number) => place.finish(texts[number]));
    }
    this.#changed();
  }

  /** Ask about the picture. */
  ask(question) {
    return this.#turn(question);
  }

  /** End the turn that is being made. */
  stop() {
    this.#aborting?.abort();
    this.#aborting = null;
  }

  /** Forget the conversation's place in the history, which is deleted. */
  detach(id) {
    if (this.#record && (id === undefined || this.#record.id === id)) delete this.#record.id;
  }

  async #turn(question) {
    this.stop();
    const aborting = new AbortController();
    const record = this.#record;
    const turn = new Turn(question, chosen(question === null ? "caption" : "answer"));
    this.#aborting = aborting;
    this.#changed();
    const texts = [];
    // One after the other: side by side they would take each other's time, and it is shown.
    for (const place of turn.places) {
      const made = await this.#text(place, record, question, aborting.signal);
      if (made) texts.push(made);
    }
    if (this.#aborting === aborting) this.#aborting = null;
    turn.reveal();
    if (texts.length === turn.places.length) {
      record.turns.push({ question, texts });
      tell(texts.map(({ model, text }) => (texts.length > 1 ? `${model}: ${text}` : text)).join(". "));
      await this.#remember(record);
    } else if (this.#record === record) {
      turn.offerRetry(() => this.#turn(question));
    }
    this.#changed();
  }

  async #text(place, record, question, signal) {
    const fields = { model: place.model.name, image: record.file };
    const path = question === null ? "v1/caption" : "v1/answer";
    if (question !== null) fields.question = question;
    let [text, first] = ["", 0];
    try {
      signal.throwIfAborted();
      place.begin();
      let begun = performance.now();
      const busy = (seconds) => {
        place.wait(seconds);
        if (seconds) begun = performance.now() + 1000 * seconds; // what it waits is not the model's time
      };
      for await (const piece of pieces(path, fields, { signal, busy })) {
        first ||= performance.now() - begun;
        text += piece;
        place.grow(text);
      }
      const made = { model: place.model.name, detail: place.model.detail, text: text.trim(), first, whole: performance.now() - begun };
      place.finish(made);
      return made;
    } catch (error) {
      place.end(signal.aborted ? "Stopped." : error.message, !signal.aborted);
      if (!signal.aborted) tell(error.message);
      return null;
    }
  }
}
