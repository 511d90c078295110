// The load line of each upstream: how much it is trusted with, how much it has, and who is turned away.

import * as format from "./format.js";
import { append, newRow, write } from "./rows.js";

const COLUMNS = [
  ["state", ""],
  ["at_work", "", "At work"],
  ["waiting", "number", "Waiting"],
  ["completes", "number", "Completes"],
  ["critical", "number", "Critical refused"],
  ["normal", "number", "Normal refused"],
  ["sheddable", "number", "Sheddable refused"],
];
const PRIORITIES = ["critical", "normal", "sheddable"];

/** Returns what feeds the tile and the table. */
export function loadLines() {
  const body = document.getElementById("lines");
  const rows = new Map();
  // The uptime at which each upstream became as calm or as overloaded as it is.
  const since = new Map();
  let latest = null;

  function draw() {
    if (!latest) return;
    const { load_lines: lines, uptime_ms: now } = latest;
    for (const line of lines) {
      const row = rows.get(line.upstream) ?? newLine(line.upstream);
      rows.set(line.upstream, row);
      if (row.element.parentElement !== body) body.append(row.element);
      fill(row, line, age(line, now));
    }
    forget(lines);
    tile(lines, (line) => age(line, now));
  }

  function age({ upstream }, now) {
    const began = since.get(upstream) ?? null;
    return began === null ? "" : `for ${format.span(Math.max(0, now - began))}`;
  }

  function forget(lines) {
    const present = new Set(lines.map(({ upstream }) => upstream));
    for (const [upstream, { element }] of rows) {
      if (present.has(upstream)) continue;
      element.remove();
      rows.delete(upstream);
      since.delete(upstream);
    }
  }

  return {
    recap(recap) {
      since.clear();
      for (const { upstream, since_ms: began } of recap.lines) since.set(upstream, began);
    },
    status(status) {
      latest = status;
      draw();
    },
    changes(changes) {
      for (const { kind, upstream, uptime_ms: at } of changes) if (kind !== "instance") since.set(upstream, at);
      draw();
    },
  };
}

function newLine(upstream) {
  const row = newRow(upstream, COLUMNS);
  row.element.dataset.line = upstream;
  row.age = append(row.cells.state, "faint age");
  row.level = append(row.cells.at_work, "");
  row.gauge = append(append(row.cells.at_work, "gauge"), "");
  return row;
}

function fill({ element, cells, badge, age, level, gauge }, line, since) {
  const state = stateOf(line);
  element.dataset.lineState = state;
  badge.dataset.state = state;
  write(badge, state);
  write(age, since);
  write(level, `${format.count(line.in_flight)} of ${format.count(line.limit)}`);
  gauge.style.width = `${Math.min(100, (100 * line.in_flight) / Math.max(1, line.limit))}%`;
  write(cells.waiting, format.count(line.waiting));
  cells.waiting.classList.toggle("faint", line.waiting === 0);
  write(cells.completes, line.drain_per_second > 0 ? `${format.rate(line.drain_per_second)} /s` : format.NONE);
  for (const priority of PRIORITIES) {
    const shed = line.shed[priority];
    write(cells[priority], format.happening(shed));
    cells[priority].classList.toggle("faint", shed.per_second === 0);
  }
  cells.critical.classList.toggle("raised", line.shed.critical.per_second > 0);
}

/** The upstream that is worst off, at a glance. */
function tile(lines, age) {
  const worst = lines.toSorted((one, other) => other.overloaded - one.overloaded || fullness(other) - fullness(one))[0];
  document.getElementById("load-tile").dataset.overloaded = String(worst?.overloaded ?? false);
  if (!worst) return;
  const name = lines.length > 1 ? `${worst.upstream}: ` : "";
  write(document.getElementById("load-level"), `${format.count(worst.in_flight)}/${format.count(worst.limit)}`);
  write(document.getElementById("load-state"), `${name}${stateOf(worst)} ${age(worst)}`.trim());
}

const stateOf = ({ overloaded }) => (overloaded ? "overloaded" : "calm");

const fullness = ({ in_flight: taken, limit }) => taken / Math.max(1, limit);
