// The load line of each upstream over time: how much it is trusted with, how much it has, and who is turned away.

import { chart, columns, drawOverload, ifAny, line, read, recent } from "./chart.js";
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

/** Returns what feeds the tile, the chart and the table. */
export function loadLines() {
  const body = document.getElementById("lines");
  // By upstream: its row, its points, and the uptime at which it became as calm or as overloaded as it is.
  const known = new Map();
  const drawn = levelChart();
  let latest = null;
  let chosen = null;

  function at(upstream) {
    if (!known.has(upstream)) {
      const row = newLine(upstream, () => {
        chosen = upstream;
        draw();
      });
      known.set(upstream, { row, points: [], since: null });
    }
    return known.get(upstream);
  }

  function draw() {
    if (!latest) return;
    const { load_lines: lines, uptime_ms: now } = latest;
    document.getElementById("load-panel").hidden = lines.length === 0;
    const age = ({ upstream }) => (at(upstream).since === null ? "" : `for ${format.span(Math.max(0, now - at(upstream).since))}`);
    const worst = inTrouble(lines, ({ upstream }) => at(upstream).since ?? -1);
    const shown = lines.find(({ upstream }) => upstream === chosen) ?? worst;
    lines.forEach((line, index) => {
      const { row } = at(line.upstream);
      if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
      fill(row, line, age(line), lines.length > 1 && line === shown);
    });
    document.getElementById("load-tile").dataset.overloaded = String(worst?.overloaded ?? false);
    if (!worst) return;
    tile(worst, age(worst));
    name("load-name", "Load", worst, lines);
    name("load-title", "Load line", shown, lines);
    drawn.show(at(shown.upstream).points);
  }

  return {
    recap(recap) {
      for (const { row } of known.values()) row.element.remove();
      known.clear();
      for (const { upstream, since_ms: since, points } of recap.lines) {
        Object.assign(at(upstream), { since, points: points.map(([uptimeMs, ...levels]) => [uptimeMs / 1000, ...levels]) });
      }
    },
    status(status) {
      latest = status;
      const now = status.uptime_ms / 1000;
      for (const line of status.load_lines) {
        const { points } = at(line.upstream);
        if (points.length > 0 && now <= points.at(-1)[0]) continue;
        points.push([now, line.limit, line.in_flight, line.waiting, line.overloaded]);
        while (!recent(points[0][0], now)) points.shift();
      }
      const present = new Set(status.load_lines.map(({ upstream }) => upstream));
      for (const [upstream, { row }] of known) {
        if (present.has(upstream)) continue;
        row.element.remove();
        known.delete(upstream);
      }
      draw();
    },
    changes(changes) {
      for (const { kind, upstream, uptime_ms: since } of changes) if (kind !== "instance" && known.has(upstream)) known.get(upstream).since = since;
      draw();
    },
    redraw: draw,
  };
}

/** The upstream worth a look: one that is overloaded, or the one that was last. */
const inTrouble = (lines, since) => lines.toSorted((one, other) => other.overloaded - one.overloaded || since(other) - since(one))[0];

/** Which upstream is meant needs saying only where there are several. */
function name(id, what, { upstream }, lines) {
  write(document.getElementById(id), lines.length > 1 ? `${what} of ${upstream}` : "Load line");
}

function levelChart() {
  let points = [];
  const series = [{ ...line("--ink"), dash: [7, 4] }, line("--rate", "--fill"), line("--waiting")];
  const plot = chart("load-chart", (plot) => drawOverload(plot, points), series, (value) => format.count(value), (at) => {
    [["limit", "limit"], ["taken", "at work"], ["waiting", "waiting"]].forEach(([id, name], index) => {
      const value = at?.[index + 1] ?? null;
      read(`${id}-reading`, value === null ? "" : `${name} ${format.count(value)}`);
    });
  });
  return {
    show(newest) {
      points = newest;
      const [xs, limit, taken, waiting] = columns(points, 4);
      plot.show([xs, limit, taken, ifAny(waiting)]);
    },
  };
}

function newLine(upstream, choose) {
  const row = newRow("", COLUMNS);
  row.pick = document.createElement("button");
  row.pick.type = "button";
  row.pick.title = "Draw its chart";
  row.pick.append(upstream);
  row.pick.addEventListener("click", choose);
  row.heading.append(row.pick);
  row.element.dataset.line = upstream;
  row.age = append(row.cells.state, "faint age");
  row.level = append(row.cells.at_work, "");
  row.gauge = append(append(row.cells.at_work, "gauge"), "");
  return row;
}

function fill({ element, pick, cells, badge, age, level, gauge }, line, since, isShown) {
  pick.ariaPressed = String(isShown);
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

function tile(line, age) {
  write(document.getElementById("load-level"), `${format.count(line.in_flight)}/${format.count(line.limit)}`);
  write(document.getElementById("load-state"), `${stateOf(line)} ${age}`.trim());
}

const stateOf = ({ overloaded }) => (overloaded ? "overloaded" : "calm");
