// A client of `echo.v1.Echo` with @grpc/grpc-js: makes the calls that are named and writes what came of each as JSON.
//   node echo_client.js HOST:PORT CALL...
import grpc from "@grpc/grpc-js";
import { methods } from "./echo_methods.js";

const Client = grpc.makeGenericClientConstructor(methods, "Echo");
const client = new Client(process.argv[2], grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.enable_retries": 0,
});
const in_ms = (ms) => ({ deadline: Date.now() + ms });
const metadata = (fields) => Object.entries(fields).reduce((all, [name, value]) => (all.set(name, value), all), new grpc.Metadata());

/// A unary call; `more.call` hears of the call once it is made.
function say(request, { fields = {}, options = {}, method = "Say", call = () => {} } = {}) {
  return new Promise((done) => {
    const result = {};
    const under_way = client[method](request, metadata(fields), options, (error, value) => {
      if (error) Object.assign(result, { code: error.code, details: error.details });
      else result.value = value;
    });
    under_way.on("metadata", (head) => (result.head = head.getMap()));
    under_way.on("status", (status) => {
      result.trailers = status.metadata.getMap();
      setImmediate(() => done(result));
    });
    call(under_way);
  });
}

/// What comes of a stream until its status.
function received(call, on_data = () => {}) {
  return new Promise((done) => {
    const values = [];
    call.on("data", (value) => {
      values.push(value);
      on_data(value, values.length);
    });
    call.on("error", () => {});
    call.on("status", ({ code, details }) => setImmediate(() => done({ code, details, values })));
  });
}

const calls = {
  unary: () => say({ say: "hello" }, { fields: { "x-told": "yes", "x-told-bin": Buffer.of(0, 255) } }),
  fails: () => say({ code: 5 }),
  busy: () => say({ code: 14 }),
  large: async () => {
    const { value } = await say({ say: "x".repeat(3_000_000), size: 3_000_000 });
    return value.say.length;
  },
  too_large: () => say({ say: "x".repeat(5_000_000) }),
  too_large_answer: async () => {
    const { code, details } = await say({ say: "x", size: 5_000_000 });
    return { code, details };
  },
  collect: () =>
    new Promise((done) => {
      const call = client.Collect(new grpc.Metadata(), {}, (error, value) => done(error ? { code: error.code, details: error.details } : value));
      for (let i = 0; i < 40; ++i) call.write({ say: "x".repeat(1_000_000) });
      call.end();
    }),
  count: async () => {
    const { code, values } = await received(client.Count({ to: 200, size: 10_000 }));
    return { code, order: values.every(({ i }, at) => i === at), count: values.length };
  },
  count_fails: () => received(client.Count({ to: 1, code: 9 })),
  chat: async () => {
    const call = client.Chat();
    call.write({ turn: 1 });
    const result = await received(call, (_, count) => (count < 5 ? call.write({ turn: count + 1 }) : call.end()));
    return { code: result.code, turns: result.values.map(({ turn }) => turn) };
  },
  deadline: () => say({ say: "deadline", wait: true }, { options: in_ms(400) }),
  told_deadline: async () => (await say({ say: "time" }, { options: in_ms(20_000) })).value.time,
  route_deadline: () => say({ say: "route deadline", wait: true }),
  stream_deadline: () => received(client.Count({ to: 2, wait: true })),
  cancel: () => say({ say: "cancel", wait: true }, { call: (call) => setTimeout(() => call.cancel(), 300) }),
  cancel_stream: async () => {
    const call = client.Count({ to: 1, wait: true });
    return received(call, () => call.cancel());
  },
  hidden: () => say({}, { method: "Hidden" }),
};

const results = {};
for (const name of process.argv.slice(3)) results[name] = await calls[name]();
console.log(JSON.stringify(results));
client.close();
