// What happened to instances and load lines, newest first.

import * as format from "./format.js";

const EVENTS_MAX = 100;

/** Returns what feeds the list. */
export function eventsList() {
  const list = document.getElementById("events");

  function add(change) {
    const item = document.createElement("li");
    const who = change.instance ?? change.upstream;
    item.dataset.event = who;
    item.append(element("time", format.time(change.at_unix_ms)), element("span", who, "who"), what(change));
    list.prepend(item);
    while (list.children.length > EVENTS_MAX) list.lastElementChild.remove();
  }

  return {
    recap(recap) {
      list.replaceChildren();
      recap.changes.forEach(add);
    },
    changes(changes) {
      changes.forEach(add);
      document.getElementById("announcer").textContent = changes.map(sentence).join(". ");
    },
  };
}

function what(change) {
  const span = element("span", "", "what");
  span.append(...(change.kind === "instance" ? instanceParts(change) : [badge(change.kind), element("span", loadWords(change))]));
  return span;
}

/** What the load line did, and for whom it was too much. */
function loadWords({ kind, limit, refused, lasted_ms: lastedMs }) {
  const counts = `${format.count(refused)} refused, ${format.count(limit)} at a time`;
  return kind === "overloaded" ? counts : `after ${format.span(lastedMs)}: ${counts}`;
}

function instanceParts({ from, to, restarts }) {
  const parts = [];
  if (from === null) parts.push(element("span", "appeared"), badge(to));
  else if (to === null) parts.push(badge(from), element("span", "→ removed"));
  else if (from !== to) parts.push(badge(from), element("span", "→"), badge(to));
  if (restarts > 0) parts.push(element("span", restarts === 1 ? "restarted" : `restarted ${format.count(restarts)} times`));
  return parts;
}

function sentence({ kind, upstream, instance, from, to, restarts }) {
  if (kind !== "instance") return `${upstream} is ${kind}`;
  if (to === null) return `${instance} was removed`;
  return from === to ? `${instance} restarted ${restarts} times and is ${to}` : `${instance} is ${to}`;
}

function badge(state) {
  const span = element("span", state, "badge");
  span.dataset.state = state;
  return span;
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
