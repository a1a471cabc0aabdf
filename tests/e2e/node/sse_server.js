// Server-sent events as Node serves them.
//   node sse_server.js [--http2]
// Writes its port as the first line, then "begins PATH LAST-EVENT-ID" and "left PATH" as clients come and go.
//   /one        one event, then nothing for ever          /silent     the head alone
//   /beat/MS    a comment each MS milliseconds            /count/N    N events, then the end; it goes on behind Last-Event-ID
import http from "node:http";
import http2 from "node:http2";

const server = process.argv.includes("--http2") ? http2.createServer(handle) : http.createServer(handle);

function handle(request, response) {
  const [, what, value] = request.url.replace(/^\/news/, "").split("/");
  const last = request.headers["last-event-id"] ?? "";
  console.log(`begins ${request.url} ${last}`.trim());
  let timer;
  response.on("close", () => {
    clearInterval(timer);
    if (!response.writableEnded) console.log(`left ${request.url}`);
  });
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  if (what === "silent") return response.flushHeaders();
  if (what === "one") return response.write("id: 1\ndata: first\n\n");
  if (what === "beat") {
    response.write(":\n\n");
    timer = setInterval(() => response.write(":\n\n"), Number(value));
    return;
  }
  // Half of them on a connection, so that a client must come back for the rest.
  const first = Number(last) + 1;
  const to = first === 1 ? Math.floor(Number(value) / 2) : Number(value);
  for (let id = first; id <= to; ++id) response.write(`id: ${id}\ndata: number ${id}\n\n`);
  response.end(first === 1 ? "retry: 10\n\n" : "event: bye\ndata:\n\n");
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
