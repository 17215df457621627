// Asking the server.

import { events } from "./events.js";
import { key } from "./preferences.js";

const LATER = new Set([429, 503]);
const TRIES = 6;
const LONGEST_WAIT = 30;

/** A request that the server refused, or that did not reach it (status 0). */
export class Refused extends Error {
  constructor(status, message, seconds = 2) {
    super(message);
    this.status = status;
    this.seconds = seconds;
  }

  /** Whether the same may be asked again later. */
  get passes() {
    return LATER.has(this.status);
  }
}

/** What the server has: its models and its indexes of photos. */
export const served = async () => (await request("v1/served")).json();

/** What a path answers to fields; files are among them. While the server is busy, it is asked again. */
export async function answered(path, fields, { signal, busy }) {
  return (await patiently(path, fields, { signal, busy })).json();
}

/** The pieces of a text as they come. */
export async function* pieces(path, fields, { signal, busy }) {
  const response = await patiently(path, { ...fields, stream: "true" }, { signal, busy });
  try {
    for await (const { name, data } of events(response.body)) {
      if (name === "error") throw new Refused(500, data.error.message);
      if (name === "done") return;
      if (name === "message") yield data.text;
    }
  } catch (error) {
    if (error instanceof Refused || signal.aborted) throw error;
  }
  throw new Refused(0, "The connection ended before the text did.");
}

async function patiently(path, fields, { signal, busy }) {
  for (let tries = 1; ; tries += 1) {
    try {
      const response = await request(path, { method: "POST", body: form(fields), signal });
      busy(0);
      return response;
    } catch (error) {
      if (!error.passes || tries === TRIES) throw error;
      busy(error.seconds);
      await pause(error.seconds, signal);
    }
  }
}

async function request(path, options = {}) {
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server cannot be reached.");
  }
  if (response.ok) return response;
  const seconds = Math.min(Number(response.headers.get("Retry-After")) || 2, LONGEST_WAIT);
  throw new Refused(response.status, await told(response), seconds);
}

async function told(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server refused this (${response.status}).`;
  }
}

function form(fields) {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) made.append(name, value, value.name ?? "picture");
    else if (value !== undefined && value !== null) made.append(name, value);
  }
  return made;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
