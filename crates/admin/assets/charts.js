// Request rate, latency and the load line over the last five minutes. The x axis is seconds before now, taken from the server's uptime, so that the
// browser's clock does not matter and a lost connection shows as a gap.

import * as format from "./format.js";

const SPAN_SECONDS = 300;
// A step longer than this was not seen: it is drawn as a gap.
const GAP_SECONDS = 3;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Makes the charts and returns what feeds them. */
export function charts() {
  // Uptime in seconds, rate, p50, p99, limit, places taken, refused per second: as they came.
  let points = [];
  let troubles = [];
  const marks = (chart) => drawTroubles(chart, troubles, points.at(-1)?.[0] ?? 0);
  const rate = chart("rate-chart", marks, [line("--rate", "--fill")], (value) => format.rate(value), (at) => {
    const value = at?.[1];
    read("rate-reading", value === undefined || value === null ? "" : `${format.rate(value)} /s`);
  });
  const load = chart("load-chart", marks, [line("--limit"), line("--rate", "--fill")], (value) => format.count(value), (at) => {
    read("limit-reading", at && at[1] !== null ? `limit ${format.count(at[1])}` : "");
    read("taken-reading", at && at[2] !== null ? `at work ${format.count(at[2])}` : "");
  });
  const latency = chart("latency-chart", marks, [line("--p50"), line("--p99")], (value) => format.latency(value).join(" "), (at) => {
    read("p50-reading", at ? `p50 ${format.latency(at[1]).join(" ")}` : "");
    read("p99-reading", at ? `p99 ${format.latency(at[2]).join(" ")}` : "");
  });

  function draw() {
    const [xs, rates, p50, p99, limits, taken] = columns(points);
    rate.show([xs, rates]);
    latency.show([xs, p50, p99]);
    document.getElementById("load-panel").hidden = !limits.some((limit) => limit !== null);
    load.show([xs, limits, taken]);
    const refused = points.at(-1)?.[6] ?? 0;
    read("refused-reading", refused > 0 ? `refused ${format.rate(refused)} /s` : "");
  }

  return {
    recap(recap) {
      points = recap.points.map(([uptimeMs, ...values]) => [uptimeMs / 1000, ...values]);
      troubles = [];
      this.changes(recap.changes);
      draw();
    },
    status({ uptime_ms: uptimeMs, edge, load_lines: lines }) {
      const at = uptimeMs / 1000;
      if (points.length > 0 && at <= points.at(-1)[0]) return;
      const sum = (name) => lines.reduce((total, line) => total + line[name], 0);
      const limit = lines.length > 0 ? sum("limit") : null;
      points.push([at, edge.rate_per_second, edge.p50_ms, edge.p99_ms, limit, sum("in_flight"), sum("shed_per_second")]);
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
const isTrouble = ({ from, to, restarts }) => ["backoff", "ejected", "unhealthy"].includes(to) || (from === to && restarts > 0);

/** Rows to columns, with x as seconds before the newest point and empty steps where nothing was seen. */
function columns(points) {
  const newest = points.at(-1)?.[0] ?? 0;
  const rows = points.flatMap((point, index) => {
    const row = [point[0] - newest, ...point.slice(1)];
    const gap = index > 0 && point[0] - points[index - 1][0] > GAP_SECONDS;
    return gap ? [[row[0] - 0.001, ...row.slice(1).map(() => null)], row] : [row];
  });
  return [0, 1, 2, 3, 4, 5].map((column) => rows.map((row) => row[column]));
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
