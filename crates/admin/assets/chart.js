// One chart over the last five minutes. The x axis is seconds before now, taken from the server's uptime, so that the browser's clock does not
// matter and a lost connection shows as a gap.

const SPAN_SECONDS = 300;
// A step longer than this was not seen: it is drawn as a gap.
const GAP_SECONDS = 3;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Whether a moment is still in the charts. */
export const recent = (seconds, now) => seconds >= now - SPAN_SECONDS;

/** A line that never left zero is not drawn along the axis. */
export const ifAny = (column) => (column.some((value) => value > 0) ? column : column.map(() => null));

/** Rows to columns, with x as seconds before the newest point and empty steps where nothing was seen. */
export function columns(points, count) {
  const newest = points.at(-1)?.[0] ?? 0;
  const rows = points.flatMap((point, index) => {
    const row = [point[0] - newest, ...point.slice(1)];
    const gap = index > 0 && point[0] - points[index - 1][0] > GAP_SECONDS;
    return gap ? [[row[0] - 0.001, ...row.slice(1).map(() => null)], row] : [row];
  });
  return Array.from({ length: count }, (_, column) => rows.map((row) => row[column]));
}

/** How a series is drawn. */
export function line(stroke, fill) {
  return { stroke: () => colour(stroke), fill: fill && (() => colour(fill)), width: 1.75, points: { show: false } };
}

/** A chart that calls `reading` with the values under the pointer, or the newest. */
export function chart(id, marks, series, label, reading) {
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

/** Says what a line is at. */
export const read = (id, text) => { document.getElementById(id).textContent = text; };

/** A tint behind the time in which requests were refused because not all could be served. */
export function drawOverload(plot, points) {
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
export function drawTroubles(plot, troubles, newest) {
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
