// A WebSocket client, as the `ws` package is one: opens, says what it is told, and writes what came of it as JSON.
//   node ws_client.js URL STEPS         steps as JSON: ["send", text], ["binary", bytes], ["close", code], ["await", count]
import { createHash } from "node:crypto";
import { WebSocket } from "ws";

const [url, steps] = [process.argv[2], JSON.parse(process.argv[3])];
const seen = { messages: [], protocol: null, status: null, body: "", code: null, reason: "" };
const socket = new WebSocket(url, ["chat", "other"]);
let wake = () => {};
socket.on("message", (data, binary) => {
  seen.messages.push(binary ? `${data.length} ${createHash("sha256").update(data).digest("hex")}` : data.toString());
  wake();
});
socket.on("unexpected-response", (_, response) => {
  seen.status = response.statusCode;
  response.on("data", (data) => (seen.body += data)).on("end", () => finish());
});
socket.on("error", (error) => (seen.error = error.message));
socket.on("close", (code, reason) => {
  [seen.code, seen.reason] = [code, reason.toString()];
  finish();
});
const finish = () => {
  console.log(JSON.stringify(seen));
  process.exit(0);
};
socket.on("open", async () => {
  seen.protocol = socket.protocol;
  for (const [step, what] of steps) {
    if (step === "send") socket.send(what);
    if (step === "binary") socket.send(Buffer.alloc(what, "x"));
    if (step === "close") socket.close(what, "done");
    if (step === "vanish") socket.terminate();
    while (step === "await" && seen.messages.length < what) await new Promise((resolve) => (wake = resolve));
  }
});
