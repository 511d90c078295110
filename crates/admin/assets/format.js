// Numbers as people read them. Everything returns plain text; nothing here touches the page.

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A count, with separators: 12,345. */
export const count = (number) => whole.format(number);

/** A rate: one decimal where it matters. */
export function rate(perSecond) {
  return perSecond === 0 || perSecond >= 99.95 ? whole.format(perSecond) : fine.format(perSecond);
}

/** Milliseconds as `[number, unit]`, in seconds from one second on. */
export function latency(ms) {
  if (ms === null || ms === undefined) return [NONE, ""];
  if (ms >= 999.5) return [(ms / 1000).toFixed(ms < 9995 ? 2 : 1), "s"];
  return [ms < 9.95 ? ms.toFixed(ms < 0.95 ? 2 : 1) : whole.format(ms), "ms"];
}

/** A share of 0 to 1 in per cent, never rounded to nothing. */
export function percent(share) {
  const value = share * 100;
  if (value === 0 || value === 100) return whole.format(value);
  return value < 0.01 ? "<0.01" : value.toFixed(value < 1 ? 2 : 1);
}

/** A count and, while it grows, how fast. */
export const happening = ({ per_second: perSecond, total }) => (perSecond > 0 ? `${rate(perSecond)} /s · ${count(total)}` : count(total));

/** A span of time in its two largest units: 3 d 4 h, 12 min 5 s, 9 s. */
export function span(ms) {
  if (ms === null || ms === undefined) return NONE;
  const seconds = Math.floor(ms / 1000);
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = Math.max(units.findIndex(([size]) => seconds >= size), 0);
  if (seconds < 60) return `${seconds} s`;
  const [size, name] = units[first];
  const [nextSize, nextName] = units[first + 1];
  return `${Math.floor(seconds / size)} ${name} ${Math.floor((seconds % size) / nextSize)} ${nextName}`;
}

/** The time of day of an event. */
export const time = (unixMs) => new Date(unixMs).toLocaleTimeString("en-GB");
