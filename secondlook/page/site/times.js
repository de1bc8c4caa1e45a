// Moments in words. The server's clock counts: a phone's may be wrong.

let offset = 0;

/** Take the server's Unix time in seconds. */
export function setClock(seconds) {
  offset = seconds - Date.now() / 1000;
}

/** Return the server's Unix time in seconds. */
export function now() {
  return Date.now() / 1000 + offset;
}

const clockFormat = new Intl.DateTimeFormat([], { timeStyle: "medium" });
const dayFormat = new Intl.DateTimeFormat([], { weekday: "short", day: "numeric", month: "short" });

/** Return a moment as people read a clock; with the day, if it is another one. */
export function clock(seconds) {
  const moment = new Date(seconds * 1000);
  const today = new Date(now() * 1000).toDateString() === moment.toDateString();
  return today ? clockFormat.format(moment) : `${dayFormat.format(moment)}, ${clockFormat.format(moment)}`;
}

/** Return a length of time. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d`;
}

/** Return how long ago something was. */
export function ago(seconds) {
  const passed = now() - seconds;
  return passed < 2 ? "just now" : `${span(passed)} ago`;
}

/** Put a moment into a <time>. */
export function put(target, seconds) {
  const text = clock(seconds);
  if (target.textContent === text) return;
  target.textContent = text;
  target.dateTime = new Date(seconds * 1000).toISOString();
}
