// The cameras: how each is, its live picture while somebody looks, and boxes on it.

import { copy, element, keep, say, show } from "./dom.js";
import { ago, clock, now } from "./times.js";

const FRESH_S = 5; // An older picture is not called live.
const RETRY_MS = 3_000;
const NOTHING_NEW_MS = 500;

const live = new Map();

const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const view = live.get(entry.target.dataset.name);
      if (view) {
        view.visible = entry.isIntersecting;
        view.wake();
      }
    }
  },
  { rootMargin: "100px" },
);

document.addEventListener("visibilitychange", () => {
  for (const view of live.values()) view.wake();
});

export function showCameras(state) {
  const list = document.querySelector("#cameras .list");
  keep(list, Object.entries(state.cameras ?? {}), begin, (card, camera, name) => {
    say(card.querySelector(".name"), name);
    const watched = card.querySelector(".watched");
    watched.dataset.well = camera.unwatched === null ? "yes" : "no";
    say(watched, camera.unwatched === null ? "watching" : `not watching: ${camera.unwatched}`);
    const on = card.querySelector(".on");
    show(on, camera.on.length > 0);
    say(on, camera.on.join(", "));
    show(card.querySelector(".armed"), !camera.armed);
    card.classList.toggle("alarm", camera.on.length > 0);
    say(card.querySelector(".today"), today(camera.today));
    say(card.querySelector(".rate"), `${camera.rate.toFixed(1)} frames/s`);
    live.get(name).last = camera.picture;
    showCaption(card, live.get(name));
  });
  for (const name of live.keys()) if (!(name in (state.cameras ?? {}))) live.delete(name);
}

function today(counted) {
  if (counted === null) return "Nothing counted yet today";
  const { alerts, rejections, unverified, looks } = counted;
  const parts = [`${alerts} ${alerts === 1 ? "alert" : "alerts"}`, `${rejections} rejected`, `${looks} looks`];
  if (unverified > 0) parts.push(`${unverified} unverified`);
  return `Today: ${parts.join(", ")}`;
}

function begin(name) {
  const card = copy("camera");
  card.dataset.name = name;
  live.set(name, { card, visible: false, wake: () => {}, frame: null, why: "", last: null, url: null });
  observer.observe(card);
  follow(name, live.get(name));
  return card;
}

/** Fetch pictures while the card is in view; the server says when there is a new one. */
async function follow(name, view) {
  while (live.get(name) === view) {
    if (!view.visible || document.hidden) {
      await new Promise((resolve) => (view.wake = resolve));
      continue;
    }
    await pause(await fetchPicture(name, view));
  }
}

async function fetchPicture(name, view) {
  try {
    const seen = view.frame === null ? "" : `?seen=${encodeURIComponent(view.frame)}`;
    const answer = await fetch(`cameras/${encodeURIComponent(name)}/live.jpg${seen}`);
    if (answer.status === 204) return NOTHING_NEW_MS;
    if (!answer.ok) {
      view.frame = null;
      view.why = answer.status === 404 ? (await answer.text()).trim() : "";
      showLast(view);
      return RETRY_MS;
    }
    const frame = answer.headers.get("Frame-Id");
    await setPicture(view, URL.createObjectURL(await answer.blob()));
    view.frame = frame;
    view.why = "";
    showBoxesOf(view);
    showCaption(view.card, view);
    return 0;
  } catch {
    return RETRY_MS;
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Put a picture in place once it is decoded, so that nothing flickers. */
async function setPicture(view, url) {
  const next = new Image();
  next.src = url;
  await next.decode();
  const image = view.card.querySelector("img");
  image.src = url;
  show(image, true);
  show(view.card.querySelector(".none"), false);
  if (view.url?.startsWith("blob:")) URL.revokeObjectURL(view.url);
  view.url = url;
}

/** Show the last alert's picture where there is no live one. */
function showLast(view) {
  const url = view.last === null ? null : `pictures/${encodeURIComponent(view.last)}.jpg`;
  if (url === null) showNone(view);
  else if (url !== view.url) setPicture(view, url).then(() => showCaption(view.card, view)).catch(() => showNone(view));
  showBoxesOf(view);
  showCaption(view.card, view);
}

function showNone(view) {
  show(view.card.querySelector("img"), false);
  show(view.card.querySelector(".none"), true);
  say(view.card.querySelector(".none"), view.why || "No picture.");
  view.url = null;
}

function capturedAt(frame) {
  return Number(frame.slice(frame.lastIndexOf("-") + 1)) / 1e9;
}

function showCaption(card, view) {
  const caption = card.querySelector(".caption");
  const image = card.querySelector("img");
  let text = "";
  if (view.frame !== null) {
    const at = capturedAt(view.frame);
    const fresh = now() - at < FRESH_S;
    text = fresh ? `live, ${clock(at)}` : `${ago(at)}, ${clock(at)}`;
    image.alt = `${card.dataset.name}: ${fresh ? "live picture" : "last picture"}`;
  } else if (view.url !== null) {
    text = `The last alert's picture. ${view.why}`;
    image.alt = `${card.dataset.name}: the last alert's picture`;
  }
  caption.dataset.fresh = text.startsWith("live") ? "yes" : "no";
  show(caption, text !== "");
  say(caption, text);
}

let looks = {};

export function showBoxes(state) {
  looks = state.looks ?? {};
  for (const view of live.values()) showBoxesOf(view);
}

function showBoxesOf(view) {
  const items = view.frame === null ? [] : Object.entries(looks).filter(([, look]) => look.frame === view.frame);
  const boxes = view.card.querySelector(".boxes");
  keep(boxes, items, () => element("div", "box"), (box, look) => {
    const [left, top, width, height] = look.box;
    box.dataset.outcome = look.outcome;
    box.classList.toggle("low", top < 0.12);
    box.classList.toggle("far", left + width > 0.75);
    Object.assign(box.style, {
      left: `${left * 100}%`,
      top: `${top * 100}%`,
      width: `${width * 100}%`,
      height: `${height * 100}%`,
    });
    if (box.firstElementChild === null) box.append(element("span", "tag"));
    say(box.firstElementChild, `${look.label} ${look.score.toFixed(2)}`);
  });
}
