// A WebSocket server of the npm package `ws`: echoes, and does what the path says.
//   node ws_server.js [--deflate]
// Writes its port as the first line, then "PATH CODE REASON" for each connection that has ended.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({
  port: 0,
  host: "127.0.0.1",
  perMessageDeflate: process.argv.includes("--deflate") && { threshold: 0 },
  handleProtocols: (offered) => (offered.has("chat") ? "chat" : false),
});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket, request) => {
  const [, what, value] = request.url.split("/");
  socket.on("close", (code, reason) => console.log(`${request.url} ${code} ${reason}`.trim()));
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    if (what === "terminate") return socket.terminate();
    if (what === "close") return socket.close(Number(value) || undefined, value ? "the server" : undefined);
    if (what === "send") return socket.send(Buffer.alloc(Number(value), "s"));
    if (what === "fragments") {
      socket.send(data.subarray(0, 1), { binary: isBinary, fin: false });
      return socket.send(data.subarray(1), { binary: isBinary });
    }
    socket.send(data, { binary: isBinary });
  });
});
