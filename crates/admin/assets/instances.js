// The table of instances.

import * as format from "./format.js";
import { append, newRow, write } from "./rows.js";

const RATES_MAX = 60;
const SVG = "http://www.w3.org/2000/svg";

const COLUMNS = [
  ["state", ""],
  ["address", "address"],
  ["pid", "number", "PID"],
  ["uptime", "number", "Up"],
  ["restarts", "number", "Restarts"],
  ["in_flight", "number", "In flight"],
  ["p50", "number", "p50"],
  ["p95", "number", "p95"],
  ["p99", "number", "p99"],
  ["errors", "number", "Errors"],
  ["rate", "number", "Req/s"],
  ["sparkline", ""],
];

const key = ({ upstream, id }) => `${upstream}\n${id}`;

/** Returns what feeds the table. */
export function instancesTable() {
  const body = document.getElementById("instances");
  const rows = new Map();
  const rates = new Map();
  const filter = stateFilter(() => rows.forEach(({ element }) => { element.hidden = filter.hides(element.dataset.rowState); }));

  return {
    recap(recap) {
      rates.clear();
      for (const instance of recap.instances) rates.set(key(instance), instance.rates.slice(0, -1));
    },
    status({ instances }) {
      const severalUpstreams = new Set(instances.map(({ upstream }) => upstream)).size > 1;
      const highest = Math.max(1, ...instances.map((instance) => Math.max(...remember(rates, instance))));
      instances.forEach((instance, index) => {
        const name = key(instance);
        const row = rows.get(name) ?? newInstance(instance);
        rows.set(name, row);
        if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
        fill(row, instance, severalUpstreams);
        drawSparkline(row, rates.get(name), highest);
        row.element.hidden = filter.hides(instance.state);
      });
      forget(instances, rows, rates);
      filter.count(instances);
      document.getElementById("no-instances").hidden = instances.length > 0;
      body.parentElement.hidden = instances.length === 0;
    },
  };
}

function remember(rates, instance) {
  const known = rates.get(key(instance)) ?? [];
  known.push(instance.rate_per_second);
  if (known.length > RATES_MAX) known.shift();
  rates.set(key(instance), known);
  return known;
}

function forget(instances, rows, rates) {
  if (rows.size === instances.length) return;
  const present = new Set(instances.map(key));
  for (const [name, row] of rows) {
    if (present.has(name)) continue;
    row.element.remove();
    rows.delete(name);
    rates.delete(name);
  }
}

function newInstance({ id, upstream }) {
  const row = newRow(id, COLUMNS);
  row.element.dataset.instance = id;
  row.element.dataset.upstream = upstream;
  return { ...row, group: append(row.heading, "upstream"), sparkline: newSparkline(row.cells.sparkline) };
}

function fill({ element, cells, badge, group }, instance, severalUpstreams) {
  element.dataset.rowState = instance.state;
  badge.dataset.state = instance.state;
  write(badge, instance.state);
  write(group, severalUpstreams ? instance.upstream : "");
  write(cells.address, instance.address);
  cells.address.title = instance.address;
  write(cells.pid, instance.pid === null ? format.NONE : String(instance.pid));
  write(cells.uptime, format.span(instance.uptime_ms));
  write(cells.restarts, format.count(instance.restarts_total));
  write(cells.in_flight, format.count(instance.in_flight));
  write(cells.rate, format.rate(instance.rate_per_second));
  for (const quantile of ["p50", "p95", "p99"]) write(cells[quantile], format.latency(instance[`${quantile}_ms`]).join(" ").trim());
  write(cells.errors, `${format.percent(instance.error_rate)} %`);
  cells.errors.classList.toggle("raised", instance.error_rate >= 0.01);
  cells.restarts.classList.toggle("faint", instance.restarts_total === 0);
  cells.errors.classList.toggle("faint", instance.error_rate === 0);
  cells.in_flight.classList.toggle("faint", instance.in_flight === 0);
}

function newSparkline(cell) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "sparkline");
  svg.setAttribute("viewBox", `0 0 ${RATES_MAX - 1} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const [area, line] = ["area", "line"].map((name) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
    return path;
  });
  cell.append(svg);
  return { area, line };
}

/** All sparklines share one scale, so that an idle instance looks idle next to a busy one. */
function drawSparkline({ sparkline }, rates, highest) {
  const start = RATES_MAX - rates.length;
  const points = rates.map((rate, index) => `${start + index} ${(19.5 - (rate / highest) * 18).toFixed(2)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  sparkline.line.setAttribute("d", line);
  sparkline.area.setAttribute("d", line && `${line}L${RATES_MAX - 1} 20L${start} 20Z`);
}

/** How many instances are in each state; each count is a button that shows only those. */
function stateFilter(changed) {
  const group = document.getElementById("states");
  const buttons = new Map();
  let only = null;

  function button(state) {
    const element = document.createElement("button");
    element.type = "button";
    element.dataset.state = state;
    element.ariaPressed = "false";
    element.addEventListener("click", () => {
      only = only === state ? null : state;
      buttons.forEach((other, name) => { other.ariaPressed = String(name === only); });
      changed();
    });
    group.append(element);
    buttons.set(state, element);
    return element;
  }

  return {
    hides: (state) => only !== null && state !== only,
    count(instances) {
      const counts = new Map();
      for (const { state } of instances) counts.set(state, (counts.get(state) ?? 0) + 1);
      for (const [state, number] of counts) write(buttons.get(state) ?? button(state), `${format.count(number)} ${state}`);
      for (const [state, element] of buttons) {
        if (counts.has(state)) continue;
        element.remove();
        buttons.delete(state);
        // Nobody is left in the state that was asked for: show everybody again rather than nothing.
        if (only === state) only = null;
      }
    },
  };
}
