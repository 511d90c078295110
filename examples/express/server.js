// A small API with one of each kind of answer: quick, slow, created, refused, streamed, upgraded.
// Nothing in here knows about Plimsoll: any server that listens on PORT runs behind it the same way.
"use strict";

const { setTimeout: sleep } = require("node:timers/promises");
const express = require("express");
const { WebSocketServer } = require("ws");

// A query value as a whole number within bounds, or undefined where it is not one.
function wholeNumber(value, { fallback, min, max }) {
  const number = value === undefined ? fallback : Number(value);
  return Number.isInteger(number) && number >= min && number <= max ? number : undefined;
}

const app = express();
app.disable("x-powered-by");
app.use(express.json({ limit: "1mb" }));

app.get("/", (_request, response) => {
  // The variable is set per instance, so a client can see that it was balanced.
  response.json({ app: "express", instance: process.env.PLIMSOLL_INSTANCE ?? "alone", pid: process.pid });
});

app.get("/slow", async (request, response) => {
  const ms = wholeNumber(request.query.ms, { fallback: 100, min: 0, max: 60_000 });
  if (ms === undefined) return response.status(422).json({ detail: "ms must be a whole number from 0 to 60000" });
  await sleep(ms);
  response.json({ slept_ms: ms });
});

app.get("/health", (_request, response) => response.json({ status: "ok" }));

app.post("/items", (request, response) => {
  const { name, price } = request.body ?? {};
  const valid = typeof name === "string" && name.length >= 1 && name.length <= 64 && Number.isFinite(price) && price >= 0;
  if (!valid) return response.status(422).json({ detail: "name must be 1 to 64 characters, price a number of at least 0" });
  response.status(201).json({ name, price });
});

app.get("/fail", (_request, response) => response.status(500).json({ detail: "asked to fail" }));

app.get("/events", async (request, response) => {
  const count = wholeNumber(request.query.count, { fallback: 5, min: 1, max: 1000 });
  const ms = wholeNumber(request.query.ms, { fallback: 100, min: 0, max: 10_000 });
  if (count === undefined || ms === undefined) return response.status(422).json({ detail: "count or ms is out of range" });
  response.set({ "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (let number = 0; number < count && !response.destroyed; number += 1) {
    response.write(`id: ${number}\ndata: tick ${number}\n\n`);
    await sleep(ms);
  }
  response.end();
});

const server = app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`listening on ${server.address().address}:${server.address().port}`);
});

const sockets = new WebSocketServer({ server, path: "/echo" });
sockets.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));

// Finish what was begun, then leave: an orchestrator asks with SIGTERM.
process.on("SIGTERM", () => {
  for (const socket of sockets.clients) socket.close(1001, "going away");
  server.close(() => process.exit(0));
});
