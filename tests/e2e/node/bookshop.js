// The service of examples/grpc-transcode.proto over cleartext HTTP/2, as @grpc/grpc-js serves it.
//   node bookshop.js DESCRIPTOR_SET
// Writes its port as the first line, then lines about the slow call and about each that a caller has left.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";

const set = loadFileDescriptorSetFromBuffer(readFileSync(process.argv[2]), { keepCase: true, defaults: true });
const { Bookshop } = grpc.loadPackageDefinition(set).bookshop.v1;
const fail = (code, details) => Object.assign(new Error(details), { code, details });

const server = new grpc.Server();
server.addService(Bookshop.service, {
  GetBook(call, answer) {
    const { name } = call.request;
    if (name.endsWith("/none")) return answer(fail(grpc.status.NOT_FOUND, `no "${name}" – sorry`));
    if (name.endsWith("/slow")) {  // until the caller leaves
      console.log("asked slow");
      call.on("cancelled", () => console.log("left slow"));
      return;
    }
    const head = new grpc.Metadata();
    head.set("x-seen-agent", String(call.metadata.get("x-agent")[0] ?? ""));
    call.sendMetadata(head);
    answer(null, { name, title: "Emma", pages: 474, tags: ["a", "b"] });
  },
  ListBooks(call, answer) {
    const { shelf, page_size } = call.request;
    const books = Array.from({ length: page_size }, (_, i) => ({ name: `shelves/${shelf}/books/${i}` }));
    answer(null, { books });
  },
  CreateBook(call, answer) {
    const { shelf, book } = call.request;
    answer(null, { ...book, name: `shelves/${shelf}/books/new` });
  },
  ArchiveBook(call, answer) {
    answer(null, { name: call.request.name, title: "archived" });
  },
  async WatchBooks(call) {
    let left = false;
    call.on("cancelled", () => {
      left = true;
      console.log(`left ${call.request.shelf}`);
    });
    if (call.request.shelf === "forbidden") return call.emit("error", fail(grpc.status.PERMISSION_DENIED, "not yours"));
    for (let i = 0; call.request.page_size === 0 ? !left : i < call.request.page_size; ++i) {
      call.write({ name: `shelves/${call.request.shelf}/books/${i}` });
      if (call.request.page_size === 0) await new Promise((done) => setTimeout(done, 20));
    }
    if (call.request.shelf === "broken") return call.emit("error", fail(grpc.status.DATA_LOSS, "the shelf fell"));
    call.end();
  },
  ImportBooks(call, answer) {
    const books = [];
    call.on("data", (book) => books.push(book));
    call.on("end", () => answer(null, { books }));
  },
});

server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
