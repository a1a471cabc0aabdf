// grpc.health.v1.Health over cleartext HTTP/2, as @grpc/grpc-js serves it: for the service `books` alone.
//   node health_service.js
// Writes its port as the first line. SIGUSR2 turns SERVING into NOT_SERVING, and back.
import grpc from "@grpc/grpc-js";

const SERVING = 1;
const NOT_SERVING = 2;
let status = SERVING;
process.on("SIGUSR2", () => (status = status === SERVING ? NOT_SERVING : SERVING));

const bytes = { requestStream: false, responseStream: false, requestSerialize: (x) => x, requestDeserialize: (x) => x, responseSerialize: (x) => x, responseDeserialize: (x) => x };
const server = new grpc.Server();
server.addService(
  { Check: { path: "/grpc.health.v1.Health/Check", ...bytes } },
  {
    Check(call, answer) {
      // HealthCheckRequest { string service = 1; }, HealthCheckResponse { ServingStatus status = 1; }
      const service = call.request.subarray(2).toString();
      if (service !== "books") return answer({ code: grpc.status.NOT_FOUND, details: service });
      answer(null, Buffer.from([0x08, status]));
    },
  },
);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_, port) => console.log(port));
