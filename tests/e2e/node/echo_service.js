// `echo.v1.Echo` over cleartext HTTP/2, as @grpc/grpc-js serves it.
//   node echo_service.js NAME
// Writes its port as the first line, then lines about calls.
import grpc from "@grpc/grpc-js";
import { methods } from "./echo_methods.js";

const name = process.argv[2];
const fail = (code, details) => Object.assign(new Error(details), { code, details });
const left = (call) => call.on("cancelled", () => console.log(`left ${call.getPath()}`));

const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
server.addService(methods, {
  Say(call, answer) {
    const { say, code, wait, size } = call.request;
    console.log(`asked ${say ?? code ?? "nothing"}`);
    left(call);
    if (wait) return;
    if (code) return answer(fail(code, `told to: ${code} – so be it`));
    const head = new grpc.Metadata();
    head.set("x-seen", String(call.metadata.get("x-told")[0] ?? ""));
    head.set("x-seen-bin", call.metadata.get("x-told-bin")[0] ?? Buffer.of());
    call.sendMetadata(head);
    const trailers = new grpc.Metadata();
    trailers.set("x-cost", "7");
    const time = Math.round(call.getDeadline() - Date.now());
    answer(null, { by: name, say: size ? "x".repeat(size) : say, time: Number.isFinite(time) ? time : null }, trailers);
  },
  Collect(call, answer) {
    let count = 0;
    let bytes = 0;
    call.on("data", ({ say }) => {
      ++count;
      bytes += say.length;
    });
    call.on("end", () => answer(null, { count, bytes }));
  },
  Count(call) {
    left(call);
    const { to, size, wait, code } = call.request;
    for (let i = 0; i < to; ++i) call.write({ i, pad: "x".repeat(size ?? 0) });
    if (code) return call.emit("error", fail(code, "enough"));
    if (!wait) call.end();
  },
  Chat(call) {
    left(call);
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end());
  },
  Hidden(call, answer) {
    answer(null, { by: name });
  },
});

server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
