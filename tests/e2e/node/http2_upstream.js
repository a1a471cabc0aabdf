// An upstream that speaks HTTP/2: it says how it was asked, and echoes WebSockets (RFC 8441) with the `ws` package.
//   node http2_upstream.js OPTIONS      as JSON: cert and key (files; else in the clear), connect, streams, http1
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { WebSocket } from "ws";

const options = JSON.parse(process.argv[2] ?? "{}");
const settings = { enableConnectProtocol: options.connect !== false, maxConcurrentStreams: options.streams ?? 100 };
const secured = options.cert && { cert: readFileSync(options.cert), key: readFileSync(options.key), allowHTTP1: Boolean(options.http1) };
const server = secured ? http2.createSecureServer({ settings, ...secured }) : http2.createServer({ settings });

let sessions = 0;
let open = 0;
let most = 0;
server.on("session", (session) => {
  session.number = ++sessions;
  session.on("error", () => {});
});
server.on("request", (request, response) => {
  most = Math.max(most, ++open);
  request.on("close", () => --open);
  const answer = () =>
    response.end(JSON.stringify({ version: request.httpVersion, scheme: request.scheme, session: request.stream?.session?.number, sessions, most }));
  if (request.url.startsWith("/slow")) setTimeout(answer, 200);
  else answer();
});
server.on("connect", ({ stream, headers }) => {
  stream.on("error", (error) => console.log(`error ${error.code}`));
  stream.on("close", () => console.log(`closed ${stream.rstCode}`));
  if (headers[":path"] === "/refused") {
    stream.respond({ ":status": 403 });
    stream.end("no");
    return;
  }
  console.log(`opened ${headers[":protocol"]} ${headers[":path"]} ${headers["sec-websocket-key"] ?? "without a key"}`);
  stream.respond({ ":status": 200, ...(headers["sec-websocket-protocol"] && { "sec-websocket-protocol": headers["sec-websocket-protocol"].split(",")[0].trim() }) });
  const socket = new WebSocket(null, undefined, {});
  socket.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, generateMask: undefined, maxPayload: 1 << 28, skipUTF8Validation: false });
  socket.on("error", (error) => console.log(`broken ${error.code}`));
  socket.on("close", (code, reason) => console.log(`ended ${code} ${reason}`));
  socket.on("message", (data, binary) => {
    const text = binary ? "" : data.toString();
    if (text.startsWith("close ")) socket.close(Number(text.slice(6)), "as told");
    else if (text === "reset") stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    else if (text === "goaway") stream.session.goaway();
    else socket.send(data, { binary });
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
