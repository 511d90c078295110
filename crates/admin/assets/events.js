// What happened to instances, newest first.

import * as format from "./format.js";

const EVENTS_MAX = 100;

/** Returns what feeds the list. */
export function eventsList() {
  const list = document.getElementById("events");

  function add(change) {
    const item = document.createElement("li");
    item.dataset.event = change.instance;
    item.append(element("time", format.time(change.at_unix_ms)), element("span", change.instance, "who"), what(change));
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

function what({ from, to, restarts }) {
  const parts = [];
  if (from === null) parts.push(element("span", "appeared"), badge(to));
  else if (to === null) parts.push(badge(from), element("span", "→ removed"));
  else if (from !== to) parts.push(badge(from), element("span", "→"), badge(to));
  if (restarts > 0) parts.push(element("span", restarts === 1 ? "restarted" : `restarted ${format.count(restarts)} times`));
  const span = element("span", "", "what");
  span.append(...parts);
  return span;
}

function sentence({ instance, from, to, restarts }) {
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
