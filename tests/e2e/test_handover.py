"""SIGUSR2: a successor takes over the sockets, and nobody notices (contract, section 1; docs/operations.md)."""

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading

from harness import check, plain, websocket
from harness.curl import peer
from harness.http2 import Client as Http2Client
from harness.orphan import Orphan, adopt_orphans
from harness.raw import encode_request
from harness.tls import Authority
from harness.websocket import CLOSE, TEXT

ROUTES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
apis:
  all: { path: /, upstream: one }
  own: { path: /own, routes: [ { name: own, respond: { status: 200, body: "own" } } ] }
"""
GENERATION = """
apis:
  all: { path: /, routes: [ { name: r, respond: { status: 200, body: "@generation@" } } ] }
"""


class Load:
    """Clients that ask without a pause, until `stop`; every connection and every request must succeed."""

    def __init__(self, t, port, context=None, kept=3, new=3):
        self.port, self.context = port, context
        self.asked, self.closes, self.failures, self._ends = 0, 0, [], threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(i < kept,), daemon=True) for i in range(kept + new)]
        for thread in self._threads:
            thread.start()
        t.on_end(self._ends.set)

    def _connect(self):
        if self.context:
            return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def _run(self, keeps):
        connection, number = None, 0
        while not self._ends.is_set():
            number += 1
            try:
                connection = connection or self._connect()
                connection.request("GET", "/own" if number % 2 else "/", headers={} if keeps else {"Connection": "close"})
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200 and body, answer.status
                last = answer.getheader("connection") == "close"
                with self._lock:
                    self.asked += 1
                    self.closes += keeps and last
            except Exception as error:
                with self._lock:
                    self.failures.append(f"{'kept' if keeps else 'new'} connection, request {number}: {type(error).__name__}: {error}")
                last = True
            if last and connection:
                connection.close()
                connection = None

    def more(self, t, requests):
        """Waits until so many more have been answered."""
        before = self.asked
        t.poll(f"{requests} more requests", lambda: self.failures or self.asked >= before + requests, 30)

    def stop(self):
        self._ends.set()
        for thread in self._threads:
            thread.join(30)
        check.equal(self.failures[:10], [], "failed requests")


def _get(t, gateway, target="/"):
    with t.client(gateway) as client:
        return client.get(target)


def test_no_request_is_lost_under_load(t):
    gateway = t.gateway(ROUTES, {"upstream": t.echo()}, workers=3)
    load = Load(t, gateway.port)
    pids = [gateway.process.pid]
    for _ in range(5):
        load.more(t, 300)
        gateway.hand_over()
        pids.append(gateway.process.pid)
    load.more(t, 300)
    load.stop()
    check.equal(len(set(pids)), 6, "processes")
    assert load.closes > 0, "no kept connection was asked to go"
    for pid in pids[:-1]:
        assert not os.path.exists(f"/proc/{pid}"), f"process {pid} is still there"
    check.equal(_children(pids[-1]), [], "children of the last one")


def _children(pid):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        found += open(f"/proc/{pid}/task/{thread}/children").read().split()
    return found


def test_number_of_workers_changes_under_load(t):
    """Sockets that have no worker any more are accepted by those that remain; new workers get new ones."""
    gateway = t.gateway(ROUTES, {"upstream": t.echo()}, workers=3)
    load = Load(t, gateway.port)
    for workers in (1, 4, 2):
        with t.case(f"{workers} workers"):
            load.more(t, 200)
            gateway.settings["workers"] = workers
            gateway.write(ROUTES)
            gateway.hand_over()
            check.equal(len(gateway.metrics().find("sluice_worker_busy_ratio")), workers, "workers")
            for _ in range(60):  # the kernel spreads them over all sockets
                check.equal(_get(t, gateway, "/own").status, 200)
    load.more(t, 200)
    load.stop()


def test_the_new_one_runs_the_configuration_of_now(t):
    gateway = t.gateway(GENERATION, {"generation": "first"})
    gateway.values["generation"] = "second"
    gateway.write(GENERATION)
    check.equal(_get(t, gateway).body, b"first")
    gateway.hand_over()
    check.equal(_get(t, gateway).body, b"second")


def test_the_binary_may_be_another_one(t):
    """The file that the old process was started from may have been replaced: an upgrade."""
    ours = os.path.join(t.new_folder("bin"), "sluice")
    shutil.copy(t.binary, ours)
    t.binary = ours
    gateway = t.gateway(GENERATION, {"generation": "one"})
    shutil.copy(ours, ours + ".new")
    os.rename(ours + ".new", ours)
    load = Load(t, gateway.port)
    load.more(t, 50)
    gateway.hand_over()
    check.equal(os.readlink(f"/proc/{gateway.process.pid}/exe"), ours)
    load.more(t, 50)
    load.stop()


def test_what_does_not_start_changes_nothing(t):
    gateway = t.gateway(ROUTES, {"upstream": t.echo()})
    load = Load(t, gateway.port)
    taken = t.free_port()
    with socket.create_server(("127.0.0.1", taken)):
        rows = (("an invalid document", "apis: { a: { nonsense: 1 } }", {}, "exit code 1"),
                ("an address that is taken", ROUTES, {"other": taken}, "exit code 1"))
        for name, entities, more, why in rows:
            with t.case(name):
                pid, gateway.more_ports = gateway.process.pid, more
                gateway.write(entities)
                said = gateway.hand_over_refused()
                assert why in said, said
                check.equal(gateway.process.pid, pid)
                load.more(t, 100)
                check.equal(gateway.status("/readyz").status, 200)
                check.equal(_children(pid), [], "children")
    gateway.more_ports = {}
    gateway.write(ROUTES)
    gateway.hand_over()
    load.more(t, 100)
    load.stop()


def test_a_program_that_is_gone_changes_nothing(t):
    ours = os.path.join(t.new_folder("bin"), "sluice")
    shutil.copy(t.binary, ours)
    t.binary = ours
    gateway = t.gateway(GENERATION, {"generation": "one"})
    os.rename(ours, ours + ".away")
    said = gateway.hand_over_refused()
    assert "cannot be run: No such file or directory" in said, said
    check.equal(_get(t, gateway).status, 200)
    os.rename(ours + ".away", ours)
    gateway.hand_over()
    check.equal(_get(t, gateway).status, 200)


def test_an_address_that_changes(t):
    """What waits at the old address is still served; then nobody listens there. The status address moves too."""
    gateway = t.gateway(ROUTES, {"upstream": t.echo()}, more_listeners=("other",))
    kept, old, status = Load(t, gateway.port), gateway.more_ports["other"], gateway.status_port
    client = t.client(old)
    check.equal(client.get("/own").status, 200)
    gateway.more_ports, gateway.status_port = {"other": t.free_port()}, t.free_port()
    gateway.write(ROUTES)
    gateway.hand_over()
    client.expect_closed()
    check.equal(t.client(gateway.more_ports["other"]).get("/own").status, 200)
    check.equal(gateway.status("/readyz").status, 200)
    for port in (old, status):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{port} still listens"
    kept.more(t, 100)
    kept.stop()


def test_what_is_in_hand_ends_in_its_process(t):
    """The old process answers what it has begun, and then ends; `drain.delay` is for those who stop for good."""
    release = threading.Event()

    def script(connection):
        connection.read_request()
        release.wait(30)
        connection.answer(b"whole")

    gateway = t.gateway(ROUTES, {"upstream": t.upstream(script)}, drain="{ delay: 10s, timeout: 20s }")
    slow, silent = t.client(gateway), t.client(gateway)
    slow.send(encode_request("GET", "/slow"))
    t.poll("it is under way", lambda: gateway.metrics().sum("sluice_connections", listener="plain", state="active") == 1)
    before = gateway.hand_over(ends=False)
    check.equal(before.poll(), None, "exit code while a request is in hand")
    check.equal(_get(t, gateway, "/own").status, 200)
    t.poll("the successor has nothing in hand", lambda: gateway.metrics().sum("sluice_connections", listener="plain", state="active") == 0)
    release.set()
    answer = slow.response()
    check.equal((answer.status, answer.body, answer.get("connection")), (200, b"whole", "close"))
    slow.expect_closed()
    silent.expect_closed()
    check.equal(before.wait(20), 0, "exit code")


def test_websockets_are_told_to_come_again(t):
    gateway = t.gateway(ROUTES, {"upstream": t.upstream(websocket.echo_script)})
    old, _ = websocket.open_on(t.client(gateway))
    before = gateway.hand_over(ends=False)
    goodbye = old.read()
    check.equal((goodbye.opcode, goodbye.code), (CLOSE, 1001))
    old.send(CLOSE, goodbye.payload)
    new, _ = websocket.open_on(t.client(gateway))
    new.send(TEXT, b"again")
    check.equal(new.message(), b"again")
    check.equal(before.wait(20), 0, "exit code")


def test_tls_and_http2_under_load(t):
    authority = Authority(t.new_folder("pki"))
    cert, key = authority.issue("localhost", "localhost")
    values = {"upstream": t.echo(), "cert": cert, "key": key, "io": os.environ.get("E2E_IO", "auto")}
    gateway = t.gateway(values=values, whole_file=TLS)
    load = Load(t, gateway.port, ssl.create_default_context(cafile=authority.cert), kept=2, new=2)
    curls = _Curls(gateway.port, authority.cert)
    for _ in range(3):
        load.more(t, 60)
        gateway.hand_over()
    load.more(t, 60)
    load.stop()
    curls.stop()


TLS = """version: 1
gateway:
  listen: [ { name: public, address: "127.0.0.1:@port@", tls: { certificates: [site] } } ]
  status: { address: "127.0.0.1:@status@" }
  workers: 2
  io: @io@
  drain: { delay: 0s, timeout: 15s }
certificates: { site: { cert: @cert@, key: @key@ } }
""" + ROUTES


class _Curls:
    """curl asks over HTTP/2, several requests a connection, again and again."""

    def __init__(self, port, ca):
        self._ends, self.failures, self.rounds = threading.Event(), [], 0
        url = f"https://localhost:{port}/own"
        command = [peer("curl"), "--silent", "--show-error", "--http2", "--cacert", ca, "--noproxy", "*", "--max-time", "30",
                   "--write-out", "%{http_version}%{http_code} ", "--parallel", "--parallel-immediate", url, url, url]

        def run():
            while not self._ends.is_set():
                done = subprocess.run(command, capture_output=True, timeout=60)
                self.rounds += 1
                if done.returncode != 0 or done.stdout.count(b"2200") != 3:
                    self.failures.append(f"{done.returncode} {done.stdout} {done.stderr}")

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def stop(self):
        self._ends.set()
        self._thread.join(60)
        check.equal(self.failures[:5], [], "curl")
        assert self.rounds > 1, self.rounds


def test_http2_streams_end_and_new_ones_go_elsewhere(t):
    """GOAWAY: the streams in hand are answered (RFC 9113, section 6.8)."""
    release = threading.Event()

    def script(connection):
        while True:
            connection.read_request()
            release.wait(30)
            connection.answer(b"whole")

    slow = t.upstream(script)
    gateway = t.gateway(ROUTES, {"upstream": slow})
    client = Http2Client(gateway.port, t.transcript)
    t.on_end(client.close)
    stream = client.request("GET", "/slow")
    slow.wait_for(1)
    before = gateway.hand_over(ends=False)
    check.equal(before.poll(), None, "exit code while a stream is open")
    release.set()
    goaways, data = [], b""
    for kind, flags, _, payload in client.frames():
        if kind == 7:
            goaways.append(int.from_bytes(payload[4:8], "big"))
        if kind == 0:
            data += payload
            if flags & 1:
                break
    check.equal((set(goaways), data), ({0}, b"whole"), f"GOAWAY's codes, and what came on stream {stream}")
    client.close()
    check.equal(before.wait(20), 0, "exit code")
    again = Http2Client(gateway.port, t.transcript)
    t.on_end(again.close)
    check.equal(again.ask("GET", "/own").status, 200)


UDP = """version: 1
gateway:
  listen:
    - { name: plain, address: 127.0.0.1:@http@ }
    - { name: dns, address: 127.0.0.1:@port@, protocol: udp }
  status: { address: 127.0.0.1:@status@ }
  workers: @workers@
  io: @io@
upstreams: { one: { targets: ["udp://127.0.0.1:@one@"] } }
streams: { dns: { listener: dns, upstream: one } }
"""


def test_udp_clients_go_on(t):
    server = plain.UdpServer(b"=")
    t.on_end(server.stop)
    values = {"http": t.free_port(), "one": server.port, "workers": 2, "io": os.environ.get("E2E_IO", "auto")}
    gateway = t.gateway(values=values, whole_file=UDP)
    clients = [plain.udp_client(gateway.port) for _ in range(10)]
    for turn, workers in enumerate((2, 1, 3)):
        for number, client in enumerate(clients):
            text = b"%d-%d" % (turn, number)
            client.send(text)
            check.equal(client.recv(100), b"=" + text)
        gateway.values["workers"] = workers
        gateway.write_whole(UDP)
        gateway.hand_over()
    for client in clients:
        client.send(b"last")
        check.equal(client.recv(100), b"=last")


QUOTA = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
apis:
  a: { path: /, upstream: one, policies: [ { rate_limit: { quota: 30/month, key: api } } ] }
"""


def test_quotas_go_on(t):
    """Both processes have the state open for a while; nothing that was used is given out again."""
    state = os.path.join(t.new_folder("state"), "state")
    gateway = t.gateway(QUOTA, {"upstream": t.echo()}, state=f'"{state}"')
    passed = 0
    for _ in range(4):
        for _ in range(5):
            passed += _get(t, gateway).status == 200
        gateway.hand_over()
    while _get(t, gateway).status == 200:
        passed += 1
    check.equal(passed, 30, "requests that passed")


def test_the_service_manager_is_told(t):
    """sd_notify(3): ready, then which process is the main one now, then that it stops."""
    path = os.path.join(t.new_folder("notify"), "socket")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(20)
    gateway = t.gateway(GENERATION, {"generation": "one"}, environment={"NOTIFY_SOCKET": path})
    check.equal(manager.recv(100), b"READY=1")
    gateway.hand_over()
    check.equal(manager.recv(100), b"MAINPID=%d" % gateway.process.pid)
    gateway.stop()
    check.equal(manager.recv(100), b"STOPPING=1")
    manager.close()


def test_a_reload_that_comes_meanwhile_is_not_forgotten(t):
    gateway = t.gateway(GENERATION, {"generation": "one"})
    gateway.process.send_signal(signal.SIGUSR2)
    gateway.process.send_signal(signal.SIGHUP)
    before = gateway.process
    adopt_orphans()
    t.poll("a successor takes over", lambda: "has taken over" in gateway.said(), 30)
    gateway.process = Orphan(int(gateway.said().split(" has taken over")[0].rsplit(" ", 1)[1]))
    check.equal(before.wait(20), 0, "exit code")
    # The kernel may deliver them the other way round: then the file is read by the successor after the reload.
    t.poll("it was reloaded", lambda: gateway.said().count("SIGHUP: reloading") == 2 or gateway.revision() > 1
           or gateway.said().index("SIGHUP") < gateway.said().index("SIGUSR2"))
    check.equal(_get(t, gateway).status, 200)


def test_a_stop_ends_a_successor_that_is_starting(t):
    """SIGTERM right behind SIGUSR2: whoever wins, none of the two is left."""
    gateway = t.gateway(GENERATION, {"generation": "one"})
    adopt_orphans()
    gateway.process.send_signal(signal.SIGUSR2)
    gateway.terminate()
    check.equal(gateway.wait_exit(), 0, "exit code")
    t.poll("nobody listens", lambda: not _connects(gateway.port))


def _connects(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_what_is_left_in_the_environment_is_checked(t):
    for value in ("x", "1", "-1", "99999999"):
        with t.case(value):
            done = t.sluice("run", t.file("a.yaml", "version: 1\napis: {}\n"), environment={"SLUICE_HANDOVER": value})
            check.equal(done.returncode, 1, "exit code")
            assert "what a predecessor has left cannot be used" in done.stderr, done.stderr
