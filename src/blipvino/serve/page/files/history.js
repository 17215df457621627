// Conversations of the past, with their pictures, in this browser's own database.

import { keepsHistory } from "./preferences.js";

const NAME = "blipvino";
const STORE = "conversations";
export const MOST = 50;

let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function within(mode, work) {
  const transaction = (await database()).transaction(STORE, mode);
  const request = work(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Keep a record, unless none are to be kept; of more than `MOST` the oldest goes. It gets an id. */
export async function keep(record) {
  if (!keepsHistory()) return;
  record.id = await within("readwrite", (store) => store.put(record));
  for (const { id } of (await kept()).slice(MOST)) await forget(id);
}

/** All records, the newest first. */
export async function kept() {
  return (await within("readonly", (store) => store.getAll())).sort((one, other) => other.created - one.created);
}

/** Delete a record. */
export const forget = (id) => within("readwrite", (store) => store.delete(id));

/** Delete all of them. */
export const forgetAll = () => within("readwrite", (store) => store.clear());
