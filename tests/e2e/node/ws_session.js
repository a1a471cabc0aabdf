// A WebSocket client of the npm package `ws`.
//   node ws_session.js URL OPTIONS
// OPTIONS is JSON: `send`, a list of texts, or of sizes of binary messages; `every`, milliseconds between them; `close`, a code (0: none)
// said after the last answer; `terminate`: leaves instead; `deflate`, `origin`, `protocols`. Writes as JSON what it saw: the
// messages (a size for a binary one), how it ended, what was agreed.
import WebSocket from "ws";

const [url, text] = process.argv.slice(2);
const options = JSON.parse(text);
const seen = { messages: [], pongs: 0 };
const socket = new WebSocket(url, options.protocols ?? [], {
  origin: options.origin,
  perMessageDeflate: options.deflate ? { threshold: 0 } : false,
});
socket.on("unexpected-response", (_, response) => {
  seen.status = response.statusCode;
  let body = "";
  response.on("data", (piece) => (body += piece));
  response.on("end", () => {
    seen.code = JSON.parse(body).code;
    console.log(JSON.stringify(seen));
    socket.terminate();
  });
});
socket.on("open", async () => {
  seen.extensions = socket.extensions;
  seen.protocol = socket.protocol;
  if (options.ping) socket.ping();
  for (const each of options.send ?? []) {
    socket.send(typeof each === "number" ? Buffer.alloc(each, "c") : each);
    if (options.every) await new Promise((done) => setTimeout(done, options.every));
  }
});
socket.on("pong", () => ++seen.pongs);
socket.on("message", (data, isBinary) => {
  seen.messages.push(isBinary ? data.length : data.toString());
  if (seen.messages.length < options.send.length) return;
  if (options.terminate) socket.terminate();
  else if ("close" in options) socket.close(options.close || undefined, options.close ? "the client" : undefined);
});
socket.on("error", () => {});
socket.on("close", (code, reason) => {
  if ("status" in seen) return;
  seen.ended = [code, reason.toString()];
  console.log(JSON.stringify(seen));
});
