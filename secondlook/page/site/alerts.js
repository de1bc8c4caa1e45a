// The alerts, newest first: the picture, both scores, the rule and its votes, and feedback.

import { copy, element, keep, limited, say, show } from "./dom.js";
import { ago, clock, put, span } from "./times.js";

const FEW = 6;
const TRUTHS = { true_alarm: "Noted: really a threat.", false_alarm: "Noted: a false alarm." };
const REASONS = {
  gone: "gone from view",
  escalated: "became another label",
  confirmed: "confirmed later",
  rejected: "rejected later",
  reopened: "seen again at the same place",
  disarmed: "the camera was disarmed",
};

let token = null;

export function showAlerts(state) {
  token = state.about?.page?.token ?? null;
  const section = document.getElementById("alerts");
  const all = Object.entries(state.alerts ?? {}).sort((a, b) => b[1].started - a[1].started);
  const items = limited(section, all, FEW, () => showAlerts(state));
  keep(section.querySelector(".list"), items, begin, update);
}

function begin(name) {
  const card = copy("alert");
  card.querySelector(".thumb").addEventListener("click", () => enlarge(card));
  for (const button of card.querySelectorAll(".feedback button")) {
    button.addEventListener("click", () => tell(card, name, button.dataset.truth));
  }
  return card;
}

function update(card, alert) {
  card.classList.toggle("open", alert.open);
  say(card.querySelector(".label"), alert.label);
  say(card.querySelector(".at"), `at ${alert.camera}`);
  put(card.querySelector("time"), alert.started);
  say(card.querySelector(".took"), took(alert));
  showPills(card, alert);
  showScore(card.querySelector(".second"), second(alert), alert.score);
  showScore(card.querySelector(".first"), `Detector: ${alert.detector.label}`, alert.detector.score);
  showVotes(card, alert);
  showMore(card, alert);
  showPicture(card, alert);
  showFeedback(card, alert);
}

function took(alert) {
  const end = alert.ended === null ? "" : `, lasted ${span(alert.ended - alert.started)}`;
  return ` · ${ago(alert.started)}${end}`;
}

function second(alert) {
  return alert.classifier === null ? "Classifier: no answer" : `Classifier: ${alert.label}`;
}

function showPills(card, alert) {
  const pills = [];
  if (alert.open) pills.push(["open", "open now"]);
  if (alert.status === "unverified") pills.push(["doubt", "unverified"]);
  if (alert.test) pills.push(["plain", "test"]);
  if (alert.late) pills.push(["doubt", "decided late"]);
  if (alert.reason !== null && alert.reason !== "gone") pills.push(["plain", REASONS[alert.reason] ?? alert.reason]);
  const target = card.querySelector(".pills");
  show(target, pills.length > 0);
  keep(target, pills.map(([kind, text]) => [text, kind]), (text, kind) => element("span", `pill ${kind}`, text), () => {});
}

function showScore(row, name, score) {
  say(row.querySelector("dt"), name);
  say(row.querySelector(".number"), score.toFixed(2));
  row.querySelector(".bar").style.setProperty("--score", score);
}

function showVotes(card, alert) {
  const [confirmed, rejected, uncertain] = alert.votes;
  const text = `${alert.rule}: ${confirmed} confirmed, ${rejected} rejected, ${uncertain} uncertain`;
  say(card.querySelector(".rule"), text);
  const kinds = ["confirmed", "rejected", "uncertain"].flatMap((kind, at) => Array(Math.min(alert.votes[at], 9)).fill(kind));
  const dots = kinds.map((kind, number) => [`${number}`, kind]);
  keep(card.querySelector(".dots"), dots, () => element("span", "dot"), (dot, kind) => {
    dot.dataset.outcome = kind;
  });
}

function showMore(card, alert) {
  const scores = alert.scores.map(([label, score]) => [label, score.toFixed(2)]);
  const facts = [
    ...scores,
    ["models", [alert.detector.model, alert.classifier].filter(Boolean).join(", ")],
    ["decided", `${alert.decided_ms} ms after capture`],
    ["last update", clock(alert.updated)],
    ["id", alert.id],
  ];
  keep(card.querySelector(".more-facts"), facts, () => {
    const row = document.createElement("div");
    row.append(document.createElement("dt"), document.createElement("dd"));
    return row;
  }, (row, text, name) => {
    say(row.firstElementChild, name);
    say(row.lastElementChild, text);
  });
}

function showPicture(card, alert) {
  const thumb = card.querySelector(".thumb");
  const image = thumb.querySelector("img");
  const url = alert.picture === null ? "" : `pictures/${encodeURIComponent(alert.picture)}.jpg`;
  thumb.disabled = url === "";
  thumb.setAttribute("aria-label", url ? `Enlarge the picture: ${alert.label} at ${alert.camera}` : "No picture");
  show(image, url !== "");
  show(thumb.querySelector(".none"), url === "");
  if (url && image.dataset.url !== url) {
    image.dataset.url = url;
    image.src = url;
  }
  // What alerted stays in view where the picture does not fit its place.
  const [left, top, width, height] = alert.box;
  image.style.objectPosition = `${(left + width / 2) * 100}% ${(top + height / 2) * 100}%`;
}

function enlarge(card) {
  const dialog = document.getElementById("large");
  dialog.querySelector("img").src = card.querySelector(".thumb img").src;
  const title = card.querySelector("h3").textContent;
  dialog.querySelector("img").alt = title;
  say(dialog.querySelector("p"), `${title}, ${card.querySelector("time").textContent}`);
  dialog.showModal();
}

function showFeedback(card, alert) {
  const group = card.querySelector(".feedback");
  show(group, token !== null);
  for (const button of group.querySelectorAll("button")) {
    const pressed = `${button.dataset.truth === alert.truth}`;
    if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
  }
  const answer = group.querySelector(".answer");
  if (alert.truth !== null && !answer.dataset.failed) say(answer, TRUTHS[alert.truth]);
}

async function tell(card, id, truth) {
  const answer = card.querySelector(".answer");
  say(answer, "Sending …");
  delete answer.dataset.failed;
  try {
    const sent = await fetch("feedback", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Secondlook-Token": token },
      body: JSON.stringify({ id, truth }),
    });
    if (sent.ok) {
      say(answer, TRUTHS[truth]);
      return;
    }
    say(answer, (await sent.text()).trim());
  } catch {
    say(answer, "Not sent: this page's server does not answer. Try again.");
  }
  answer.dataset.failed = "yes";
}
