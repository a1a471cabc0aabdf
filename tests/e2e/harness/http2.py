"""A client that speaks HTTP/2 by prior knowledge: python3-h2 on a socket, one exchange or many at once."""

import socket

import h2.config
import h2.connection
import h2.events

from harness import patience


class Answer:
    def __init__(self):
        self.status, self.fields, self.interim, self.trailers = None, {}, [], {}
        self.body, self.ended, self.reset = b"", False, None


class Client:
    """`strict=False`: also sends what h2 itself would refuse."""

    def __init__(self, port, transcript, strict=True):
        self.transcript = transcript
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=patience.SECONDS)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=strict,
                                           normalize_outbound_headers=strict)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.answers, self.goaways, self.closed = {}, [], False
        self.flush()

    def close(self):
        self.sock.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.transcript.add("h2 client", "sends", data)
            self.sock.sendall(data)

    def request(self, method, path, fields=(), body=None, trailers=None, end=True, pseudo=None):
        """Sends a request; gives back its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        head = pseudo or [(":method", method), (":scheme", "http"), (":authority", "x.test"), (":path", path)]
        self.h2.send_headers(stream, [*head, *fields], end_stream=end and body is None and trailers is None)
        if body is not None:
            self.send(stream, body, end=end and trailers is None)
        if trailers is not None:
            self.h2.send_headers(stream, trailers, end_stream=True)
        self.flush()
        return stream

    def send(self, stream, body, end=False):
        """As the windows allow."""
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            piece, rest = body[:room], body[room:]
            if piece or not rest:
                self.h2.send_data(stream, piece, end_stream=end and not rest)
            self.flush()
            body = rest
            if not body:
                return
            if self.h2.local_flow_control_window(stream) == 0:
                self.read()

    def read(self):
        """Takes in one piece of what comes; False at the end."""
        data = self.sock.recv(65536)
        self.transcript.add("h2 client", "gets", data)
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self.take(event)
        self.flush()
        return True

    def take(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            fields = dict(event.headers)
            answer.status, answer.fields = int(fields.pop(":status")), fields
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((int(event.error_code), event.last_stream_id))

    def frames(self):
        """What comes from now on, to the end, frame by frame: h2 takes no more after a first GOAWAY."""
        held = b""
        while True:
            while len(held) >= 9 and len(held) >= 9 + int.from_bytes(held[:3], "big"):
                size = 9 + int.from_bytes(held[:3], "big")
                yield held[3], held[4], int.from_bytes(held[5:9], "big"), held[9:size]
                held = held[size:]
            data = self.sock.recv(65536)
            self.transcript.add("h2 client", "gets", data)
            if not data:
                return
            held += data

    def answer(self, stream):
        """The whole answer on a stream."""
        answer = self.answers[stream]
        while not answer.ended and answer.reset is None and self.read():
            pass
        return answer

    def ask(self, *arguments, **more):
        return self.answer(self.request(*arguments, **more))

    def wait_for(self, what):
        while not what() and self.read():
            pass
        return what()
