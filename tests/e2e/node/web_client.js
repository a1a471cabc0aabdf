// A client of gRPC-Web, as @connectrpc/connect-node is one: makes calls and writes what came of each as JSON.
//   node web_client.js DESCRIPTOR_SET BASE_URL
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(process.argv[2])));
const service = registry.getService("bookshop.v1.Bookshop");
const client = createClient(service, createGrpcWebTransport({ baseUrl: process.argv[3], httpVersion: "1.1" }));
const plain = (message) => toJson(registry.getMessage(message.$typeName), message);

const calls = {
  unary: async () => {
    let agent;
    const onHeader = (head) => (agent = head.get("x-seen-agent"));
    const book = await client.getBook({ name: "shelves/1/books/2" }, { headers: { "x-agent": "web" }, onHeader });
    return { book: plain(book), agent };
  },
  failed: async () => plain(await client.getBook({ name: "shelves/1/books/none" })),
  stream: async () => {
    const books = [];
    for await (const book of client.watchBooks({ shelf: "1", pageSize: 3 })) books.push(plain(book));
    return books;
  },
  broken: async () => {
    const books = [];
    try {
      for await (const book of client.watchBooks({ shelf: "broken", pageSize: 1 })) books.push(plain(book));
    } catch (error) {
      return { books, code: error.code, message: error.rawMessage };
    }
  },
  forbidden: async () => {
    for await (const book of client.watchBooks({ shelf: "forbidden" })) throw new Error(plain(book));
  },
  refused: async () => plain(await client.archiveBook({ name: "shelves/1/books/2" })),
};

const results = {};
for (const [name, call] of Object.entries(calls)) {
  try {
    results[name] = (await call()) ?? null;
  } catch (error) {
    results[name] = { code: error.code, message: error.rawMessage ?? String(error) };
  }
}
console.log(JSON.stringify(results));
