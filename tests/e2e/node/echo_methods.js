// The service `echo.v1.Echo`, whose messages are JSON: no .proto is needed.
const json = (value) => Buffer.from(JSON.stringify(value));
const parse = (bytes) => JSON.parse(bytes.toString());

function method(name, requestStream, responseStream) {
  return {
    path: `/echo.v1.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: json,
    requestDeserialize: parse,
    responseSerialize: json,
    responseDeserialize: parse,
  };
}

export const methods = {
  Say: method("Say", false, false),
  Collect: method("Collect", true, false),
  Count: method("Count", false, true),
  Chat: method("Chat", true, true),
  Hidden: method("Hidden", false, false),
};
