// The plain lists: looks, blind times, services.

import { copy, element, keep, limited, say } from "./dom.js";
import { ago, clock, put, span } from "./times.js";

const FEW_LOOKS = 10;
const FEW_BLIND = 5;
const NAMES = { triton: "Triton" };

function newest(entries, moment) {
  return Object.entries(entries ?? {}).sort((a, b) => moment(b[1]) - moment(a[1]));
}

export function showLooks(state) {
  const section = document.getElementById("looks");
  const all = newest(state.looks, (look) => look.at);
  const items = limited(section, all, FEW_LOOKS, () => showLooks(state));
  keep(section.querySelector(".list"), items, () => copy("look"), (row, look) => {
    put(row.querySelector("time"), look.at);
    say(row.querySelector(".where"), look.camera);
    const outcome = row.querySelector(".outcome");
    outcome.dataset.outcome = look.outcome;
    say(outcome, look.outcome);
    say(row.querySelector(".what"), look.reason + (look.late ? " (late)" : ""));
    say(row.querySelector(".found"), `found as ${look.detector.label} ${look.detector.score.toFixed(2)}`);
  });
}

export function showBlind(state) {
  const section = document.getElementById("blind");
  const all = newest(state.blind, (gap) => gap.to);
  const items = limited(section, all, FEW_BLIND, () => showBlind(state));
  keep(section.querySelector(".list"), items, () => copy("blind"), (row, gap) => {
    put(row.querySelector("time"), gap.from);
    say(row.querySelector(".where"), gap.camera ?? "all");
    say(row.querySelector(".what"), `${span(gap.to - gap.from)}, until ${clock(gap.to)}: ${gap.why}`);
  });
}

export function showServices(state) {
  const broker = state.broker?.broker;
  const rows = Object.entries(state.services ?? {});
  if (broker) rows.unshift(["broker", { online: broker.connected }]);
  const list = document.querySelector("#services .list");
  keep(list, rows, () => copy("service"), (row, service, name) => {
    const known = broker?.connected || name === "broker";
    const online = known ? service.online : null;
    row.dataset.state = online === null ? "unknown" : online ? "online" : "offline";
    say(row.querySelector(".name"), NAMES[name] ?? name);
    say(row.querySelector(".state"), row.dataset.state);
    say(row.querySelector(".work"), service.work ?? "");
    const troubles = (service.troubles ?? []).map((text) => [text, text]);
    keep(row.querySelector(".troubles"), troubles, (_, text) => element("li", "trouble", text), () => {});
    row.title = service.version ? `version ${service.version}, last report ${ago(service.heard)}` : "";
  });
}
