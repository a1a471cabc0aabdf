// A client of server-sent events: the npm package `eventsource`, which is what browsers have.
//   node event_source.js URL
// Until the event `bye`; writes as JSON what it was told and how often it connected.
import { EventSource } from "eventsource";

const seen = { messages: [], opened: 0 };
const source = new EventSource(process.argv[2]);
source.onopen = () => ++seen.opened;
source.onmessage = (event) => seen.messages.push([event.lastEventId, event.data]);
source.addEventListener("bye", () => {
  source.close();
  console.log(JSON.stringify(seen));
});
