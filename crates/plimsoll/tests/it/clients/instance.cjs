// The instance behind the clients: it tells what it was asked, and shows what an app can do that a proxy may spoil.
"use strict";

const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const http = require("node:http");
const http2 = require("node:http2");
const WebSocket = require("ws");

// "http1", "http2" without TLS, or "https": both, with the certificate that CERTIFICATE and KEY name.
const SPEAKS = process.env.SPEAKS ?? "http1";

const FILE = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));

const json = (response, value, headers = {}) => {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length, ...headers });
  response.end(body);
};

const seen = async (request, response) => {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  const { method, url, trailers, httpVersion } = request;
  // HTTP/2 says in another way whom it asks.
  const headers = { host: request.headers[":authority"], ...request.headers };
  json(response, { method, url, headers, trailers, httpVersion, bytes, sha256: hash.digest("hex"), continued: request.continued ?? false });
};

const file = (request, response) => {
  const headers = { "accept-ranges": "bytes", "content-type": "application/octet-stream", etag: '"v1"' };
  if (request.headers["if-none-match"] === '"v1"') return response.writeHead(304, headers).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const [first, last] = range ? [Number(range[1]), Number(range[2] || FILE.length - 1)] : [0, FILE.length - 1];
  const part = FILE.subarray(first, last + 1);
  headers["content-length"] = part.length;
  if (range) headers["content-range"] = `bytes ${first}-${last}/${FILE.length}`;
  response.writeHead(range ? 206 : 200, headers);
  response.end(request.method === "HEAD" ? undefined : part);
};

// What gRPC needs of HTTP: the outcome in trailers, after messages that were sent as they came.
const call = async (request, response) => {
  const messages = [];
  for await (const chunk of request) messages.push(chunk);
  response.writeHead(200, { "content-type": "application/grpc", trailer: "grpc-status, grpc-message" });
  response.write(Buffer.concat(messages));
  response.addTrailers({ "grpc-status": "0", "grpc-message": `te=${request.headers.te}, sum=${request.trailers["x-sum"]}` });
  response.end();
};

const routes = {
  "/": (request, response) => json(response, { ok: true }),
  "/seen": seen,
  "/file": file,
  "/call": call,
  // A call that failed before any message: the outcome stands in the head.
  "/call/refused": (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/grpc", "grpc-status": "7", "grpc-message": "not yours" }).end();
  },
  "/big-head": (request, response) => json(response, { asked: request.headers["x-big"]?.length ?? 0 }, { "x-big": "b".repeat(8_000) }),
  // Without a length: chunks, each sent as it comes.
  "/chunks": async (request, response) => {
    for (let index = 0; index < 5; index++) {
      response.write(`chunk ${index}\n`);
      await new Promise((done) => setTimeout(done, 10));
    }
    response.end();
  },
  "/early": (request, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    json(response, { ok: true });
  },
  "/moved": (request, response) => response.writeHead(302, { location: "/seen" }).end(),
  "/nothing": (request, response) => response.writeHead(204).end(),
};

const answer = (request, response) => {
  const route = routes[new URL(request.url, "http://localhost").pathname];
  if (route) return route(request, response);
  response.writeHead(404, { "content-length": 0 }).end();
};

const create = {
  http1: () => http.createServer({ maxHeaderSize: 64 * 1024 }, answer),
  http2: () => http2.createServer({ settings: { enableConnectProtocol: true } }, answer),
  https: () => {
    const [cert, key] = [process.env.CERTIFICATE, process.env.KEY].map((file) => readFileSync(file));
    return http2.createSecureServer({ cert, key, allowHTTP1: true }, answer);
  },
};
const server = create[SPEAKS]();
server.on("checkContinue", (request, response) => {
  if (request.url === "/unwanted") {
    const ends = SPEAKS === "http1" ? { connection: "close" } : {};
    response.writeHead(417, { "content-length": 0, ...ends }).end();
    return;
  }
  request.continued = true;
  response.writeContinue();
  answer(request, response);
});

const echo = (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
const sockets = new WebSocket.WebSocketServer({ server, path: "/echo", handleProtocols: (offered) => [...offered][0], perMessageDeflate: true });
sockets.on("connection", echo);
// On a stream (RFC 8441): the library knows only sockets.
if (SPEAKS === "http2") {
  server.on("connect", ({ stream }) => {
    stream.respond({ ":status": 200 });
    stream.setNoDelay = () => {};
    const socket = new WebSocket(null, undefined, {});
    socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 1 << 24, skipUTF8Validation: false, allowSynchronousEvents: true });
    echo(socket);
  });
}

server.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
