// Hears what changes and shows it. The state is what the server last said, entry by entry.

import { showAlerts } from "./alerts.js";
import { showBoxes, showCameras } from "./cameras.js";
import { copy, keep, say } from "./dom.js";
import { showBlind, showLooks, showServices } from "./lists.js";
import { clock, now, setClock } from "./times.js";

const SILENT_MS = 12_000; // The server says something every five seconds.
const AGAIN_MS = 2_000;

const state = {};
const known = new Set();
let first = true;
let source = null;
let lastHeard = Date.now();
let lostSince = null;

const shown = {
  about: showSummary,
  broker: () => {
    showSummary();
    showServices(state);
  },
  services: () => showServices(state),
  cameras: () => showCameras(state),
  alerts: () => showAlerts(state),
  looks: () => {
    showLooks(state);
    showBoxes(state);
  },
  blind: () => showBlind(state),
};

function connect() {
  source?.close();
  source = new EventSource("events");
  source.addEventListener("all", (event) => {
    for (const part of Object.keys(shown)) state[part] = {};
    take(event, Object.keys(shown));
  });
  source.addEventListener("changes", (event) => take(event, []));
  source.onerror = lost;
}

function take(event, parts) {
  const { now: seconds, patch } = JSON.parse(event.data);
  setClock(seconds);
  lastHeard = Date.now();
  const wasLost = lostSince !== null;
  lostSince = null;
  for (const [part, entries] of Object.entries(patch)) {
    for (const [name, value] of Object.entries(entries)) {
      if (value === null) delete state[part][name];
      else state[part][name] = value;
    }
  }
  announce(patch.alerts ?? {});
  for (const part of new Set([...parts, ...Object.keys(patch)])) shown[part]();
  if (wasLost) showSummary();
}

/** Say new alerts aloud; those that were there when the page was opened are not new. */
function announce(alerts) {
  const texts = [];
  for (const [name, alert] of Object.entries(alerts)) {
    if (alert === null || known.has(name)) continue;
    known.add(name);
    texts.push(`Alert: ${alert.label} at ${alert.camera}, score ${alert.score.toFixed(2)}.`);
  }
  if (!first && texts.length > 0) say(document.getElementById("announcements"), texts.join(" "));
  first = false;
}

function lost() {
  lostSince ??= now();
  showSummary();
  // A browser tries again by itself unless it was refused.
  if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS);
}

function showSummary() {
  const said = state.about?.summary ?? [];
  const broker = state.broker?.broker;
  const lines = said.map((line) => ({ ...line }));
  if (broker && !broker.connected && lines.length > 0) {
    lines[0].text = `${lines[0].text} Last heard at ${clock(broker.since)}.`;
  }
  if (lostSince !== null) {
    const text = `No connection to this page's server since ${clock(lostSince)}: what you see is old. Trying again.`;
    lines.splice(0, lines.length, { level: "wrong", text });
  }
  const items = lines.map((line, number) => [`${number}`, line]);
  const list = document.querySelector("#summary ul");
  if (items.length > 0) {
    keep(list, items, () => copy("line"), (child, line) => {
      child.dataset.level = line.level;
      say(child.querySelector(".text"), line.text);
    });
  }
  const old = lostSince !== null || (broker !== undefined && !broker.connected);
  document.body.classList.toggle("old", old);
  const alerting = lines.filter((line) => line.level === "alert");
  const mark = alerting.length > 0 ? `${alerting[0].text} – ` : lines.some((l) => l.level === "wrong") ? "! – " : "";
  document.title = `${mark}Second Look`;
  say(document.getElementById("version"), state.about?.page?.version ?? "");
}

setInterval(() => {
  say(document.getElementById("clock"), clock(now()));
  showAlerts(state);
  showCameras(state);
  if (Date.now() - lastHeard > SILENT_MS) {
    lastHeard = Date.now();
    lost();
    connect();
  }
}, 1000);

connect();
