// The page's parts, joined.

import { byId } from "./elements.js";
import { keep } from "./history.js";
import { takePictures } from "./intake.js";
import { chosen, setModels, whenChosen } from "./models.js";
import { tell, unwarn, warn } from "./notice.js";
import { Past } from "./past.js";
import { prepared } from "./pictures.js";
import { Search } from "./search.js";
import { served } from "./server.js";
import { offerSettings, openSettings } from "./settings.js";
import { Talk } from "./talk.js";
import { go, offer, show, whenShown } from "./views.js";

const NARROW = window.matchMedia("(max-width: 56rem)");
const talk = new Talk(remember, drawTalk);
const search = new Search((photo) => take(photo, 1));
const past = new Past(
  (record) => {
    talk.resume(record);
    go("picture");
  },
  (id) => talk.detach(id),
);
let searchable = false;
let taken = 0;
let connecting = 0;
let unconnected = ""; // why, as it is shown

/** A picture came in. */
async function take(file, count) {
  unwarn();
  taken += 1;
  const mine = taken;
  let picture;
  try {
    picture = await prepared(file);
  } catch (error) {
    warn(error.message);
    return;
  }
  if (mine !== taken) return; // another came meanwhile
  if (count > 1) warn(`${count} files came; the first is taken.`);
  go("picture");
  if (NARROW.matches) byId("gallery").open = false; // the caption goes where it was
  await talk.begin(picture);
}

async function remember(record) {
  try {
    await keep(record);
  } catch {
    warn("This browser could not keep the conversation in its history.");
  }
}

/** Show the picture, and what can be done now. */
function drawTalk() {
  const { picture } = talk;
  const [figure, stop, send] = [byId("shown"), byId("stop"), byId("send")];
  const image = figure.querySelector("img");
  if (picture && figure.dataset.created !== String(picture.created)) {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(picture.file);
    image.alt = `The picture: ${picture.name}`;
    figure.querySelector("figcaption").textContent = picture.name;
    figure.dataset.created = picture.created;
  }
  figure.hidden = !picture;
  byId("drop").classList.toggle("small", Boolean(picture));
  byId("alike").hidden = !picture || !searchable;
  byId("ask").hidden = !picture || chosen("answer").length === 0;
  if (document.activeElement === stop && !talk.isBusy) byId("question").focus(); // what has the focus is hidden
  stop.hidden = !talk.isBusy;
  send.hidden = talk.isBusy;
}

/** Learn what the server has; while it cannot tell, ask again. */
async function connect() {
  connecting += 1;
  const mine = connecting;
  while (mine === connecting) {
    try {
      const { models, indexes } = await served();
      setModels(models);
      searchable = indexes.length > 0;
      search.offer(indexes);
      offer("search", searchable);
      offer("picture", chosen("caption").length > 0 || searchable);
      byId("empty").textContent = chosen("caption").length
        ? "The caption appears here. Afterwards you can ask about the picture."
        : "No model here describes pictures. Photos can be searched.";
      unwarn(unconnected);
      drawTalk();
      show();
      talk.catchUp();
      return;
    } catch (error) {
      if (error.status === 401) {
        unconnected = "This server wants an API key.";
        warn(unconnected, { label: "Enter it", action: openSettings });
        return;
      }
      unconnected = error.passes ? "The models are being loaded…" : error.message;
      warn(unconnected, { calm: error.passes });
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(error.seconds ?? 2, 2)));
    }
  }
}

byId("shown").querySelector("img").addEventListener("error", ({ target }) => {
  target.alt = "This browser cannot show the picture; the server may read it all the same.";
});
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = byId("question").value.trim();
  if (!question || talk.isBusy) return;
  byId("question").value = "";
  talk.ask(question);
});
byId("stop").addEventListener("click", () => {
  talk.stop();
  byId("question").focus();
  tell("Stopped.");
});
byId("alike").addEventListener("click", () => {
  go("search");
  search.like(talk.picture);
});
takePictures(take, warn);
offerSettings(connect);
whenChosen(drawTalk);
whenShown("history", () => past.show());
show();
connect();
