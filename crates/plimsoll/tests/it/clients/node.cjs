// Node's own clients: fetch, http with a kept connection, http2. The first argument says what to try, the second where.
"use strict";

const assert = require("node:assert/strict");
const { createHash, randomBytes } = require("node:crypto");
const { once } = require("node:events");
const http = require("node:http");
const http2 = require("node:http2");

const [what, base] = process.argv.slice(2);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

// One request on HTTP/1.1, body and trailers included.
const ask = async (agent, path, { method = "GET", headers = {}, body, trailers } = {}) => {
  const request = http.request(base + path, { agent, method, headers, maxHeaderSize: 64 * 1024 });
  const interim = [];
  request.on("information", ({ statusCode, headers }) => interim.push({ statusCode, headers }));
  request.on("continue", () => interim.push({ statusCode: 100 }));
  if (headers.expect) {
    request.flushHeaders();
    await Promise.race([once(request, "continue"), once(request, "response").then(([early]) => (request.early = early))]);
  }
  if (trailers) {
    request.write(body ?? "");
    request.addTrailers(trailers);
    request.end();
  } else {
    request.end(request.early ? undefined : body);
  }
  const response = request.early ?? (await once(request, "response"))[0];
  const bytes = await collect(response);
  return { status: response.statusCode, headers: response.headers, trailers: response.trailers, body: bytes, interim, reused: request.reusedSocket };
};

// One stream on HTTP/2.
const stream = async (session, path, { method = "GET", headers = {}, body, trailers } = {}) => {
  const request = session.request({ ":method": method, ":path": path, ...headers }, { endStream: !body && !trailers, waitForTrailers: !!trailers });
  request.on("wantTrailers", () => request.sendTrailers(trailers));
  let received = {};
  request.on("trailers", (fields) => (received = fields));
  const head = once(request, "response");
  if (body || trailers) request.end(body);
  const [fields] = await head;
  const bytes = await collect(request);
  return { status: fields[":status"], headers: fields, trailers: received, body: bytes };
};

const cases = {
  async fetch() {
    assert.deepEqual(await (await fetch(`${base}/`)).json(), { ok: true });
    const body = randomBytes(200_000);
    const answer = await (await fetch(`${base}/seen?a=1&b=%20`, { method: "PUT", body, headers: { "x-mine": "ü".normalize("NFD").length.toString() } })).json();
    assert.equal(answer.sha256, sha256(body));
    assert.deepEqual([answer.method, answer.url, answer.headers["x-mine"]], ["PUT", "/seen?a=1&b=%20", "2"]);
    // A body of unknown length is sent in chunks.
    const chunks = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 50; index++) controller.enqueue(body.subarray(index * 4_000, (index + 1) * 4_000));
        controller.close();
      },
    });
    const streamed = await (await fetch(`${base}/seen`, { method: "POST", body: chunks, duplex: "half" })).json();
    assert.deepEqual([streamed.bytes, streamed.sha256], [200_000, sha256(body)]);
    assert.equal(streamed.headers["content-length"], undefined);
    const moved = await fetch(`${base}/moved`);
    assert.deepEqual([moved.redirected, (await moved.json()).url], [true, "/seen"]);
    assert.equal((await fetch(`${base}/nothing`)).status, 204);
    assert.equal((await (await fetch(`${base}/chunks`)).text()).split("\n").length, 6);
    const part = await fetch(`${base}/file`, { headers: { range: "bytes=10-19" } });
    assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength, part.headers.get("content-range")], [206, 10, "bytes 10-19/100000"]);
    // Many at once, on as many connections as it likes.
    const many = await Promise.all(Array.from({ length: 100 }, (_, index) => fetch(`${base}/seen?${index}`).then((each) => each.json())));
    assert.ok(many.every((each, index) => each.url === `/seen?${index}`));
  },

  async http1() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await ask(agent, "/");
    const head = await ask(agent, "/file", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, "100000", 0]);
    const file = await ask(agent, "/file");
    assert.deepEqual([file.body.length, file.reused], [100_000, true], "nothing followed the head, and the connection was kept");
    assert.equal((await ask(agent, "/file", { headers: { "if-none-match": '"v1"' } })).status, 304);
    const early = await ask(agent, "/early");
    assert.deepEqual(early.interim.map(({ statusCode }) => statusCode), [103]);
    assert.match(early.interim[0].headers.link, /style\.css/);
    const body = randomBytes(100_000);
    const expected = await ask(agent, "/seen", { method: "POST", body, headers: { expect: "100-continue", "content-length": body.length } });
    const told = JSON.parse(expected.body);
    assert.deepEqual([expected.interim[0].statusCode, told.continued, told.sha256], [100, true, sha256(body)], "asked before it sent");
    const unwanted = await ask(undefined, "/unwanted", { method: "POST", body, headers: { expect: "100-continue", "content-length": body.length } });
    assert.deepEqual([unwanted.status, unwanted.interim], [417, []], "refused before it sent");
    const big = await ask(agent, "/big-head", { headers: { "x-big": "a".repeat(20_000) } });
    assert.deepEqual([JSON.parse(big.body).asked, big.headers["x-big"].length], [20_000, 8_000]);
  },

  async http2() {
    const session = http2.connect(base);
    const body = randomBytes(300_000);
    const [first, ...others] = await Promise.all([
      stream(session, "/seen", { method: "POST", body }),
      ...Array.from({ length: 50 }, (_, index) => stream(session, `/file?${index}`)),
    ]);
    const told = JSON.parse(first.body);
    assert.deepEqual([told.sha256, told.headers.host], [sha256(body), new URL(base).host]);
    assert.ok(others.every((other) => other.status === 200 && other.body.length === 100_000));
    const head = await stream(session, "/file", { method: "HEAD" });
    assert.deepEqual([head.headers["content-length"], head.body.length], ["100000", 0]);
    const part = await stream(session, "/file", { headers: { range: "bytes=99990-" } });
    assert.deepEqual([part.status, part.body.length], [206, 10]);
    const big = await stream(session, "/big-head", { headers: { "x-big": "a".repeat(20_000) } });
    assert.deepEqual([JSON.parse(big.body).asked, big.headers["x-big"].length], [20_000, 8_000]);
    assert.equal((await stream(session, "/nothing")).status, 204);
    // Who gives up one stream keeps the others.
    const given = session.request({ ":path": "/chunks" });
    given.on("error", () => {});
    given.close(http2.constants.NGHTTP2_CANCEL);
    assert.equal((await stream(session, "/")).status, 200);
    session.close();
    await once(session, "close");
  },

  async trailers() {
    const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 5]), Buffer.from("hello")]);
    const call = { method: "POST", body: message, trailers: { "x-sum": "42" }, headers: { te: "trailers", "content-type": "application/grpc" } };
    const session = http2.connect(base);
    const over2 = await stream(session, "/call", call);
    const over1 = await ask(undefined, "/call", { ...call, headers: { ...call.headers, trailer: "x-sum", "transfer-encoding": "chunked" } });
    for (const { status, headers, trailers, body } of [over2, over1]) {
      assert.deepEqual([status, headers["content-type"], body.equals(message)], [200, "application/grpc", true]);
      assert.deepEqual([trailers["grpc-status"], trailers["grpc-message"]], ["0", "te=trailers, sum=42"]);
    }
    const refused2 = await stream(session, "/call/refused", call);
    const refused1 = await ask(undefined, "/call/refused", { ...call, headers: { ...call.headers, "transfer-encoding": "chunked" } });
    for (const { headers, body } of [refused2, refused1]) {
      assert.deepEqual([headers["grpc-status"], headers["grpc-message"], body.length], ["7", "not yours", 0]);
    }
    session.close();
  },

  async websocket() {
    const { WebSocket } = require("ws");
    const url = base.replace("http", "ws") + "/echo";
    for (const perMessageDeflate of [true, false]) {
      const socket = new WebSocket(url, ["chat"], { perMessageDeflate });
      await once(socket, "open");
      assert.deepEqual([socket.protocol, socket.extensions.includes("permessage-deflate")], ["chat", perMessageDeflate]);
      for (const data of [Buffer.from("hello"), randomBytes(70_000), Buffer.alloc(300_000, "long ")]) {
        socket.send(data);
        const [echo, isBinary] = await once(socket, "message");
        assert.ok(isBinary && echo.equals(data));
      }
      socket.ping("are you there");
      const [pong] = await once(socket, "pong");
      assert.equal(pong.toString(), "are you there");
      socket.close(4001, "done");
      const [code, reason] = await once(socket, "close");
      assert.deepEqual([code, reason.toString()], [4001, "done"], "the instance's answer to the close came through");
    }
  },
};

cases[what]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
