// The town's time on a phone whose own clock is wrong: how far off it is was seen at the last answer of the server.
const KEY = "gridward_field_clock_ms";
const NOT_WORTH_MS = 5000;

/** The server said `at` in an answer that was asked for at `asked_ms` and came just now (both by the phone's clock). */
export function hear(at, asked_ms) {
  const off = new Date(at).getTime() - (asked_ms + Date.now()) / 2;
  localStorage.setItem(KEY, String(Math.abs(off) < NOT_WORTH_MS ? 0 : Math.round(off)));
}

export const townNow = () => new Date(Date.now() + Number(localStorage.getItem(KEY) || 0));
