// The operator's page: one stream in, four parts that show it. Names and addresses are outside input: all text goes through textContent.

import { charts } from "./charts.js";
import { eventsList } from "./events.js";
import * as format from "./format.js";
import { instancesTable } from "./instances.js";
import { keepOpen } from "./stream.js";

const parts = [charts(), instancesTable(), eventsList(), { status }];

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

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => parts[0].redraw());

function tell(name, data) {
  for (const part of parts) part[name]?.(data);
}

function connection(state, words) {
  document.body.dataset.connection = state;
  write("connection", words);
}

function status(status) {
  const { edge, instances } = status;
  header(status);
  tiles(edge);
  totals(edge);
  const ready = instances.filter(({ state }) => state === "ready").length;
  document.title = `${ready}/${instances.length} ready · ${format.rate(edge.rate_per_second)}/s · Plimsoll`;
}

function header(status) {
  write("version", status.version);
  write("admin-url", status.admin_url);
  write("uptime", format.span(status.uptime_ms));
  write("pid", String(status.pid));
  write("public-url", status.public_url);
  const link = document.getElementById("public-url");
  if (/^https?:\/\//.test(status.public_url)) link.href = status.public_url;
  document.getElementById("draining").hidden = !status.draining;
}

function tiles(edge) {
  write("request-rate", format.rate(edge.rate_per_second));
  write("requests-total", `${format.count(edge.requests_total)} in all`);
  for (const quantile of ["p50", "p95", "p99"]) {
    const [number, unit] = format.latency(edge[`${quantile}_ms`]);
    write(quantile, number);
    write(`${quantile}-unit`, unit);
  }
  write("error-rate", format.percent(edge.error_rate));
  write("errors-total", `${format.count(edge.responses_total["5xx"])} server errors in all`);
  document.getElementById("errors-tile").dataset.trouble = String(edge.error_rate > 0);
  write("in-flight", format.count(edge.in_flight));
  write("connections", edge.connections === 1 ? "1 connection" : `${format.count(edge.connections)} connections`);
}

function totals(edge) {
  const classes = Object.entries(edge.responses_total).filter(([name, number]) => name === "2xx" || name === "5xx" || number > 0);
  list("classes", classes.map(([name, number]) => [name, number, name]));
  bar(classes);
  list("totals", [["Retries", edge.retries.total], ["Clients gone early", edge.client_gone_total]]);
  list("refusals", Object.entries(edge.refusals_total).filter(([, number]) => number > 0).sort(([, one], [, other]) => other - one));
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

/** Names and counts; made anew only when the names are others. */
function list(id, entries) {
  const element = document.getElementById(id);
  const names = entries.map(([name]) => name).join("\n");
  if (element.dataset.names !== names) {
    element.dataset.names = names;
    element.replaceChildren(...entries.map(([name, , className]) => pair(name, className)));
  }
  entries.forEach(([, number], index) => { element.children[index].lastElementChild.textContent = format.count(number); });
}

function pair(name, className) {
  const group = document.createElement("div");
  if (className) group.dataset.class = className;
  const term = document.createElement("dt");
  term.textContent = name;
  group.append(term, document.createElement("dd"));
  return group;
}

function write(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}
