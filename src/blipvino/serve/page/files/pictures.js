// Pictures as they are sent and kept: large ones become smaller, which the model does not see.

const LONGEST = 1280;
const THUMBNAIL = 256;
const QUALITY = 0.92;

/**
 * A picture that was given: the `file` to send, its `name`, and a `small` one to show in lists.
 *
 * What this browser cannot decode, such as HEIC, is sent as it is, and `small` is null.
 */
export async function prepared(given) {
  const name = given.name || "picture";
  if (given.type && !given.type.startsWith("image/")) throw new Error(`${name} is not a picture.`);
  if (given.size === 0) throw new Error(`${name} is empty.`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(given);
  } catch {
    return { file: given, name, small: null };
  }
  const longest = Math.max(bitmap.width, bitmap.height);
  const type = given.type === "image/png" ? "image/png" : "image/jpeg";
  const file = longest > LONGEST ? await shrunk(bitmap, LONGEST, type) : given;
  const small = await shrunk(bitmap, THUMBNAIL, type);
  bitmap.close();
  return { file, name, small };
}

/** The picture of a data URL, which the content policy keeps `fetch` from reading. */
export function fromDataUrl(url, name) {
  const [head, content] = url.split(",", 2);
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  return new File([bytes], name, { type: head.slice(5).split(";")[0] });
}

/** What a canvas, a video or a bitmap shows, as a file. */
export function shrunk(source, most, type = "image/jpeg") {
  const [width, height] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
  const scale = Math.min(1, most / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY));
}
