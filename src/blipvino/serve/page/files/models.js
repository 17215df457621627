// The models that are served, and which of them are asked.

import { byId, element } from "./elements.js";
import { size } from "./words.js";

const fieldset = byId("models");
const RECIPES = "A recipe, such as int8, tells how a model was compressed: to numbers of 8 bits, say. An original has 16.";
let models = [];

/** What the server told of its models. Those that make texts may be chosen where they are several. */
export function setModels(told) {
  models = told.filter((model) => model.tasks.includes("caption"));
  for (const model of models) model.detail = detail(model);
  const beside = pair();
  fieldset.replaceChildren(fieldset.querySelector("legend"));
  for (const model of models) {
    model.box = element("input", { type: "checkbox", name: "model", value: model.name, checked: beside.includes(model) });
    const [name, more] = [model.name, model.detail].map((textContent) => element("span", { textContent }));
    more.className = "detail";
    fieldset.append(element("label", { className: "check" }, model.box, name, more));
  }
  if (models.some((model) => model.compressed)) {
    fieldset.append(element("p", { className: "detail", textContent: RECIPES }));
  }
  fieldset.hidden = models.length < 2;
}

/** The models to ask for a task, "caption" or "answer". Where none is chosen it is the first. */
export function chosen(task) {
  const able = models.filter((model) => model.tasks.includes(task));
  const ticked = able.filter((model) => model.box.checked);
  return ticked.length ? ticked : able.slice(0, 1);
}

/** Call a function whenever others are chosen. */
export const whenChosen = (listener) => fieldset.addEventListener("change", listener);

function detail({ name, recipe, compressed, bytes }) {
  const kind = compressed ? `recipe ${recipe}` : "original";
  return `${kind}, ${size(bytes)}`;
}

/** The first, and beside it, where there is one, the same checkpoint compressed, or uncompressed. */
function pair() {
  const [first] = models;
  const isOther = ({ checkpoint, compressed }) => checkpoint === first.checkpoint && compressed !== first.compressed;
  return [first, models.find(isOther)].filter(Boolean);
}
