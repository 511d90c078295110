// Traffic, latency and the load line over the last five minutes. The x axis is seconds before now, taken from the server's uptime, so that the
// browser's clock does not matter and a lost connection shows as a gap.

import * as format from "./format.js";

const SPAN_SECONDS = 300;
// A step longer than this was not seen: it is drawn as a gap.
const GAP_SECONDS = 3;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Makes the charts and returns what feeds them. */
export function charts() {
  // Uptime in seconds; served, refused and failed per second; p50, p99; limit, places taken, requests that wait; overloaded: as they came.
  let points = [];
  let troubles = [];
  const marks = (chart) => {
    drawOverload(chart, points);
    drawTroubles(chart, troubles, points.at(-1)?.[0] ?? 0);
  };
  const traffic = chart("rate-chart", marks, [line("--rate", "--fill"), line("--refused"), line("--bad")], (value) => format.rate(value), (at) => {
    ["served", "refused", "errors"].forEach((name, index) => {
      const value = at?.[index + 1] ?? null;
      read(`${name}-reading`, value === null ? "" : `${name} ${format.rate(value)} /s`);
    });
  });
  const limit = { ...line("--ink"), dash: [7, 4] };
  const load = chart("load-chart", marks, [limit, line("--rate", "--fill"), line("--waiting")], (value) => format.count(value), (at) => {
    [["limit", "limit"], ["taken", "at work"], ["waiting", "waiting"]].forEach(([id, name], index) => {
      const value = at?.[index + 1] ?? null;
      read(`${id}-reading`, value === null ? "" : `${name} ${format.count(value)}`);
    });
  });
  const latency = chart("latency-chart", marks, [line("--p50"), line("--p99")], (value) => format.latency(value).join(" "), (at) => {
    read("p50-reading", at ? `p50 ${format.latency(at[1]).join(" ")}` : "");
    read("p99-reading", at ? `p99 ${format.latency(at[2]).join(" ")}` : "");
  });

  function draw() {
    const [xs, served, refused, failed, p50, p99, limits, taken, waiting] = columns(points);
    traffic.show([xs, served, ifAny(refused), ifAny(failed)]);
    latency.show([xs, p50, p99]);
    document.getElementById("load-panel").hidden = !limits.some((limit) => limit !== null);
    load.show([xs, limits, taken, ifAny(waiting)]);
  }

  return {
    recap(recap) {
      points = recap.points.map(([uptimeMs, all, refused, failed, ...rest]) => [uptimeMs / 1000, served(all, refused, failed), refused, failed, ...rest]);
      troubles = [];
      this.changes(recap.changes);
      draw();
    },
    status({ uptime_ms: uptimeMs, edge, load_lines: lines }) {
      const at = uptimeMs / 1000;
      if (points.length > 0 && at <= points.at(-1)[0]) return;
      const sum = (name) => lines.reduce((total, line) => total + line[name], 0);
      const limit = lines.length > 0 ? sum("limit") : null;
      const { rate_per_second: all, shed_per_second: refused, errors_per_second: failed } = edge;
      const overloaded = lines.some((line) => line.overloaded);
      const levels = [limit, sum("in_flight"), sum("waiting"), overloaded];
      points.push([at, served(all, refused, failed), refused, failed, edge.p50_ms, edge.p99_ms, ...levels]);
      points = points.filter(([seconds]) => seconds >= at - SPAN_SECONDS);
      troubles = troubles.filter((seconds) => seconds >= at - SPAN_SECONDS);
      draw();
    },
    changes(changes) {
      troubles.push(...changes.filter(isTrouble).map((change) => change.uptime_ms / 1000));
    },
    redraw: draw,
  };
}

/** A restart that no look saw as `backoff` was trouble too. */
const isTrouble = ({ kind, from, to, restarts }) => kind === "instance" && (["backoff", "ejected", "unhealthy"].includes(to) || (from === to && restarts > 0));

/** What is left of all answers: counts of one moment may be a request apart. */
const served = (all, refused, failed) => Math.max(0, all - refused - failed);

/** A line that never left zero is not drawn along the axis. */
const ifAny = (column) => (column.some((value) => value > 0) ? column : column.map(() => null));

/** Rows to columns, with x as seconds before the newest point and empty steps where nothing was seen. */
function columns(points) {
  const newest = points.at(-1)?.[0] ?? 0;
  const rows = points.flatMap((point, index) => {
    const row = [point[0] - newest, ...point.slice(1)];
    const gap = index > 0 && point[0] - points[index - 1][0] > GAP_SECONDS;
    return gap ? [[row[0] - 0.001, ...row.slice(1).map(() => null)], row] : [row];
  });
  return [0, 1, 2, 3, 4, 5, 6, 7, 8].map((column) => rows.map((row) => row[column]));
}

function line(stroke, fill) {
  return { stroke: () => colour(stroke), fill: fill && (() => colour(fill)), width: 1.75, points: { show: false } };
}

function chart(id, marks, series, label, reading) {
  const element = document.getElementById(id);
  const axis = { stroke: () => colour("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: () => colour("--line"), width: 1 };
  const plot = new uPlot({
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, sync: { key: "time" }, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: () => [-SPAN_SECONDS, 0] },
      y: { range: (_, __, highest) => [0, Math.max(highest * 1.15, 10)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 24, splits: () => [-300, -240, -180, -120, -60, 0], values: (_, splits) => splits.map(ago) },
      { ...axis, grid, size: 58, space: 38, values: (_, splits) => splits.map((split) => (split === 0 ? "0" : label(split))) },
    ],
    series: [{}, ...series],
    hooks: { drawClear: [marks], setCursor: [(plot) => reading(at(plot, plot.cursor.idx))] },
  }, [[], ...series.map(() => [])], element);
  new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: element.clientHeight })).observe(element);
  return {
    show(data) {
      plot.setData(data);
      reading(at(plot, plot.cursor.idx));
    },
  };

  // What is under the pointer, or the newest values.
  function at(plot, index) {
    const row = plot.data.map((column) => column[index ?? column.length - 1]);
    return row[0] === undefined ? null : row;
  }
}

const ago = (seconds) => (seconds === 0 ? "now" : `−${-seconds / 60} min`);

const read = (id, text) => { document.getElementById(id).textContent = text; };

/** A tint behind the time in which requests were refused because not all could be served. */
function drawOverload(plot, points) {
  const { ctx: canvas, bbox } = plot;
  const newest = points.at(-1)?.[0] ?? 0;
  canvas.save();
  canvas.fillStyle = colour("--refused-fill");
  points.forEach((point, index) => {
    if (!point.at(-1)) return;
    const before = points[index - 1]?.[0] ?? point[0];
    const [left, right] = [Math.max(before, point[0] - GAP_SECONDS), point[0]].map((seconds) => Math.round(plot.valToPos(seconds - newest, "x", true)));
    const start = Math.max(left, bbox.left);
    if (right > start) canvas.fillRect(start, bbox.top, right - start, bbox.height);
  });
  canvas.restore();
}

/** A thin upright line wherever an instance got into trouble. */
function drawTroubles(plot, troubles, newest) {
  const { ctx: canvas, bbox } = plot;
  canvas.save();
  canvas.strokeStyle = colour("--bad");
  canvas.globalAlpha = 0.55;
  canvas.lineWidth = devicePixelRatio;
  canvas.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const seconds of troubles) {
    const x = Math.round(plot.valToPos(seconds - newest, "x", true)) + 0.5;
    if (x < bbox.left) continue;
    canvas.beginPath();
    canvas.moveTo(x, bbox.top);
    canvas.lineTo(x, bbox.top + bbox.height);
    canvas.stroke();
  }
  canvas.restore();
}
