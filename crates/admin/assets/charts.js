// Traffic and latency over the last five minutes.

import { chart, columns, drawOverload, drawTroubles, ifAny, line, read, recent } from "./chart.js";
import * as format from "./format.js";

/** Makes the charts and returns what feeds them. */
export function charts() {
  // Uptime in seconds; served, refused and failed per second; p50, p99; whether an upstream was overloaded: as they came.
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
  const latency = chart("latency-chart", marks, [line("--p50"), line("--p99")], (value) => format.latency(value).join(" "), (at) => {
    read("p50-reading", at ? `p50 ${format.latency(at[1]).join(" ")}` : "");
    read("p99-reading", at ? `p99 ${format.latency(at[2]).join(" ")}` : "");
  });

  function draw() {
    const [xs, served, refused, failed, p50, p99] = columns(points, 6);
    traffic.show([xs, served, ifAny(refused), ifAny(failed)]);
    latency.show([xs, p50, p99]);
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
      const { rate_per_second: all, shed_per_second: refused, errors_per_second: failed } = edge;
      const overloaded = lines.some((line) => line.overloaded);
      points.push([at, served(all, refused, failed), refused, failed, edge.p50_ms, edge.p99_ms, overloaded]);
      points = points.filter(([seconds]) => recent(seconds, at));
      troubles = troubles.filter((seconds) => recent(seconds, at));
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
