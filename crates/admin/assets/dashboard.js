// The operator's page: one stream in, five parts that show it. Names and addresses are outside input: all text goes through textContent.

import { charts } from "./charts.js";
import { eventsList } from "./events.js";
import * as format from "./format.js";
import { instancesTable } from "./instances.js";
import { loadLines } from "./load.js";
import { write } from "./rows.js";
import { keepOpen } from "./stream.js";

const parts = [charts(), loadLines(), instancesTable(), eventsList(), { status }];

keepOpen({
  recap: (recap) => tell("recap", recap),
  status: (status) => {
    connection("live", "Live");
    tell("status", status);
  },
  changes: (changes) => tell("changes", changes),
  lost(why) {
    connection("lost", why);
    document.title = `${why} · Plimsoll`;
  },
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tell("redraw"));

function tell(name, data) {
  for (const part of parts) part[name]?.(data);
}

function connection(state, words) {
  document.body.dataset.connection = state;
  show("connection", words);
}

function status(status) {
  const { edge, instances, load_lines: lines } = status;
  header(status);
  tiles(edge);
  totals(edge);
  const ready = instances.filter(({ state }) => state === "ready").length;
  const overloaded = lines.some((line) => line.overloaded) ? "overloaded · " : "";
  document.title = `${overloaded}${ready}/${instances.length} ready · ${format.rate(edge.rate_per_second)}/s · Plimsoll`;
}

function header(status) {
  show("version", status.version);
  show("admin-url", status.admin_url);
  show("uptime", format.span(status.uptime_ms));
  show("pid", String(status.pid));
  show("public-url", status.public_url);
  const link = document.getElementById("public-url");
  if (/^https?:\/\//.test(status.public_url)) link.href = status.public_url;
  document.getElementById("draining").hidden = !status.draining;
}

function tiles(edge) {
  show("request-rate", format.rate(edge.rate_per_second));
  show("requests-total", `${format.count(edge.requests_total)} in all`);
  for (const quantile of ["p50", "p95", "p99"]) {
    const [number, unit] = format.latency(edge[`${quantile}_ms`]);
    show(quantile, number);
    show(`${quantile}-unit`, unit);
  }
  show("refused-rate", format.rate(edge.shed_per_second));
  show("refused-total", `${format.count(edge.shed_total)} in all`);
  document.getElementById("refused-tile").dataset.overloaded = String(edge.shed_per_second > 0);
  show("error-rate", format.percent(edge.error_rate));
  show("errors-total", `${format.count(edge.errors_total)} in all`);
  document.getElementById("errors-tile").dataset.trouble = String(edge.error_rate > 0);
  show("in-flight", format.count(edge.in_flight));
  show("connections", edge.connections === 1 ? "1 connection" : `${format.count(edge.connections)} connections`);
}

function totals(edge) {
  const answers = Object.entries({ ...edge.responses_total, "5xx": edge.errors_total, refused: edge.shed_total });
  const classes = answers.filter(([name, number]) => name === "2xx" || name === "5xx" || number > 0);
  list("classes", classes.map(([name, number]) => [name, format.count(number), name]));
  bar(classes);
  const helped = [
    ["Retries", edge.retries],
    ["Retries over the budget", edge.retries_denied],
    ["Hedges sent", edge.hedges],
    ["Hedges won", edge.hedges_won],
    ["Fallback answers", edge.fallbacks],
  ].filter(([name, { total }]) => name === "Retries" || total > 0);
  list("totals", [...helped.map(([name, count]) => [name, format.happening(count)]), ["Clients gone early", format.count(edge.client_gone_total)]]);
  const refusals = Object.entries(edge.refusals_total).filter(([, number]) => number > 0).sort(([, one], [, other]) => other - one);
  list("refusals", refusals.map(([reason, number]) => [reason, format.count(number)]));
}

function bar(classes) {
  const spans = classes.filter(([, number]) => number > 0).map(([name, number]) => {
    const span = document.createElement("span");
    span.dataset.class = name;
    span.style.flexGrow = String(number);
    return span;
  });
  document.getElementById("classes-bar").replaceChildren(...spans);
}

/** Names and what is said of each; made anew only when the names are others. */
function list(id, entries) {
  const element = document.getElementById(id);
  const names = entries.map(([name]) => name).join("\n");
  if (element.dataset.names !== names) {
    element.dataset.names = names;
    element.replaceChildren(...entries.map(([name, , className]) => pair(name, className)));
  }
  entries.forEach(([, text], index) => write(element.children[index].lastElementChild, text));
}

function pair(name, className) {
  const group = document.createElement("div");
  if (className) group.dataset.class = className;
  const term = document.createElement("dt");
  term.textContent = name;
  group.append(term, document.createElement("dd"));
  return group;
}

function show(id, text) {
  write(document.getElementById(id), text);
}
