// Searching an index of photos, by words or by a picture.

import { byId, element, icon } from "./elements.js";
import { fromDataUrl } from "./pictures.js";
import { answered } from "./server.js";
import { counted, percent } from "./words.js";

const TOP = 24;
const UNLIKELY = 0.01; // as `blipvino search` has it

const fitsNone = (hits) =>
  hits.some(({ probability }) => probability !== undefined) && hits.every(({ probability = 0 }) => probability < UNLIKELY);

/** The view: `describe` is given the photo that is chosen. */
export class Search {
  #describe;
  #aborting = new AbortController();

  constructor(describe) {
    this.#describe = describe;
    byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = byId("sought").value.trim();
      if (text) this.#search({ text });
    });
  }

  /** The indexes there are. */
  offer(indexes) {
    const select = byId("index");
    select.replaceChildren(
      ...indexes.map(({ name, photos }) =>
        element("option", { value: name, textContent: `${name} (${counted(photos, "photo")})` }),
      ),
    );
    select.hidden = indexes.length < 2;
  }

  /** Find photos like a picture. */
  like(picture) {
    byId("sought").value = "";
    return this.#search({ image: picture.file });
  }

  async #search(sought) {
    this.#aborting.abort();
    this.#aborting = new AbortController();
    const { signal } = this.#aborting;
    const [status, list] = [byId("found"), byId("hits")];
    list.replaceChildren();
    status.classList.remove("wrong");
    status.textContent = "Searching…";
    const busy = (seconds) => {
      status.textContent = seconds ? "The server is busy. Asking again soon." : "Searching…";
    };
    const fields = { ...sought, index: byId("index").value, top: TOP, thumbnails: "true" };
    try {
      const { hits, missing } = await answered("v1/search", fields, { signal, busy });
      const what = sought.image ? " like the picture" : "";
      const gone = missing ? ` ${counted(missing, "photo")} of the index cannot be read any more.` : "";
      const none = fitsNone(hits) ? " The text seems to fit none of them." : "";
      status.textContent = hits.length ? `${counted(hits.length, "photo")}${what}, best first.${none}${gone}` : `No photos.${gone}`;
      list.append(...hits.map((hit) => this.#item(hit)));
    } catch (error) {
      if (signal.aborted) return;
      status.classList.add("wrong");
      status.textContent = error.message;
    }
  }

  #item({ path, similarity, probability, thumbnail }) {
    const name = path.split(/[\\/]/).pop();
    const fits = probability === undefined ? `similarity ${similarity.toFixed(2)}` : `fits: ${percent(probability)}`;
    const picture = thumbnail
      ? element("img", { src: thumbnail, alt: "" })
      : element("span", { className: "thumbnail" }, icon("picture"));
    const facts = [element("strong", { textContent: name }), element("span", { className: "detail", textContent: fits })];
    const open = element("button", { type: "button", className: "hit", title: path, disabled: !thumbnail }, picture, ...facts);
    open.addEventListener("click", () => this.#describe(fromDataUrl(thumbnail, name)));
    return element("li", {}, open);
  }
}
