// A picture from the camera.

import { byId, closable } from "./elements.js";
import { shrunk } from "./pictures.js";

const LARGEST = 4096;
const dialog = byId("camera");
const video = dialog.querySelector("video");
let shot = null;

closable(dialog);
dialog.addEventListener("close", () => {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
});
byId("release").addEventListener("click", async () => {
  if (!video.videoWidth) return; // it shows nothing yet
  const content = await shrunk(video, LARGEST);
  dialog.close();
  shot(new File([content], "photo.jpg", { type: content.type }), 1);
});

/**
 * Show what the camera sees, and give `take` the picture that is taken.
 *
 * Where pages get no camera (without HTTPS they do not), `instead` opens the device's own.
 */
export async function openCamera(take, instead) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    instead();
    return;
  }
  shot = take;
  video.srcObject = stream;
  dialog.showModal();
  await video.play();
}
