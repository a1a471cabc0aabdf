// A gRPC service, made by hand, that does not begin the first call it gets (REFUSED_STREAM) and answers the others.
//   node refusing_service.js
// Writes its port as the first line.
import http2 from "node:http2";

let calls = 0;
const message = Buffer.from(JSON.stringify({ by: "the second" }));
const prefix = Buffer.alloc(5);
prefix.writeUInt32BE(message.length, 1);

const server = http2.createServer();
server.on("stream", (stream) => {
  stream.on("error", () => {});
  stream.resume();
  stream.on("end", () => {
    if (++calls === 1) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(Buffer.concat([prefix, message]));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
