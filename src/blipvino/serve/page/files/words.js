// Numbers and times as people read them.

/** Milliseconds: 340 ms, 1.25 s. */
export const duration = (milliseconds) =>
  milliseconds < 999.5 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;

/** Bytes: 12.3 MB. */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

/** A moment: day and time. */
export const moment = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

/** "1 photo", "2 photos". */
export const counted = (number, one) => `${number.toLocaleString()} ${one}${number === 1 ? "" : "s"}`;

/** A share of 1: 93%, and below 1%. */
export const percent = (share) => (share > 0 && share < 0.01 ? "below 1%" : `${Math.round(100 * share)}%`);
