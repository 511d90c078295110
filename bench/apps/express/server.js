// An app with a little of everything in each request: a body to parse, something to compute, something to wait for.
// Node has one thread, so the computing is what it runs out of.
"use strict";

const { createHash } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");
const express = require("express");

const LINES = 40;
const HASH_ROUNDS = 2000;
const WAIT_MS = 10;

const app = express();
app.disable("x-powered-by");
app.use(express.json());

// An order of forty lines, priced, signed, and stored somewhere that takes ten milliseconds.
app.get("/order", async (_request, response) => {
  const lines = Array.from({ length: LINES }, (_, index) => ({ sku: `sku-${index}`, count: (index % 7) + 1, price: index * 3.5 + 1 }));
  const order = JSON.parse(JSON.stringify({ lines, total: lines.reduce((sum, line) => sum + line.count * line.price, 0) }));
  let signature = JSON.stringify(order);
  for (let round = 0; round < HASH_ROUNDS; round += 1) signature = createHash("sha256").update(signature).digest("hex");
  await sleep(WAIT_MS);
  response.json({ ...order, signature });
});

app.get("/about", (_request, response) => response.json({ app: "overloaded" }));

app.listen(Number(process.env.PORT), "127.0.0.1", (error) => {
  if (error) throw error;
});
