// Pictures come in: dropped, pasted, chosen, taken, or one of the samples.

import { openCamera } from "./camera.js";
import { byId, element, unseen } from "./elements.js";

/** Have every picture that comes in be given to `take`, and what is no picture be told by `refuse`. */
export function takePictures(take, refuse) {
  const first = (files) => {
    if (files.length) take(files[0], files.length);
  };
  for (const id of ["file", "capture"]) {
    byId(id).addEventListener("change", ({ target }) => {
      first([...target.files]);
      target.value = ""; // the same file may be chosen again
    });
  }
  byId("choose").addEventListener("click", () => byId("file").click());
  byId("shoot").addEventListener("click", () => openCamera(take, () => byId("capture").click()));
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return; // text goes where it is pasted
    event.preventDefault();
    first(files);
  });
  takeDropped(first, refuse);
  showSamples(take, refuse);
}

function takeDropped(first, refuse) {
  const over = byId("over");
  let depth = 0; // of elements that were entered and not left
  const show = (change) => {
    depth = Math.max(0, depth + change);
    over.hidden = depth === 0;
  };
  const brings = (event) => [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/uri-list");
  window.addEventListener("dragenter", (event) => brings(event) && show(1));
  window.addEventListener("dragleave", (event) => brings(event) && show(-1));
  window.addEventListener("dragover", (event) => brings(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    show(-depth);
    const files = [...event.dataTransfer.files];
    if (files.length) first(files);
    else refuse("Only an address was dropped. Save the picture first, or copy and paste it.");
  });
}

function showSamples(take, refuse) {
  const list = byId("samples");
  for (let number = 0; number < Number(list.dataset.count); number += 1) {
    const source = new URL(`page/samples/${number}.png`, document.baseURI);
    const name = `sample ${number + 1}`;
    const picture = element("img", { src: source.href, alt: "", width: 96, height: 96, loading: "lazy", draggable: false });
    const button = element("button", { type: "button", className: "sample" }, picture, unseen(`Use ${name}`));
    button.addEventListener("click", async () => {
      try {
        const content = await (await fetch(source)).blob();
        take(new File([content], `${name}.png`, { type: content.type }), 1);
      } catch {
        refuse("The server cannot be reached.");
      }
    });
    list.append(element("li", {}, button));
  }
}
