"""The servers under test: how each is configured and started, and the proof that each does the same job."""
import os
import subprocess
import time

from .machine import BenchError, LOAD_CORE, Process, SERVER_CORE, free_port
from .ways import PLAIN

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POOL = 2048          # idle upstream connections kept; 1,024 busy ones are the most there are


class Keys:
    """The API keys, written as each server wants them. Consumer N owns key N."""

    def __init__(self, directory, count):
        self.names = [f"consumer-{i:05}" for i in range(count)]
        # 32 hex digits that look like a key; multiplying by an odd number spreads them without repeating.
        self.keys = [f"sk_{(i * 0x9E3779B97F4A7C15 + 1) % 2**64:016x}{(i * 0xC2B2AE3D27D4EB4F + 7) % 2**64:016x}"
                     for i in range(count)]
        self.file = os.path.join(directory, "keys.txt")
        pairs = list(zip(self.keys, self.names))
        write(self.file, "".join(f"{key}\n" for key in self.keys))
        write(os.path.join(directory, "nginx-keys.map"), "".join(f'"{k}" "{n}";\n' for k, n in pairs))
        write(os.path.join(directory, "haproxy-keys.map"), "".join(f"{k} {n}\n" for k, n in pairs))
        self.yaml = "".join(f'  {n}: {{ credentials: [ {{ api_key: "{k}" }} ] }}\n' for k, n in pairs)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def render(template, path, values):
    """Writes `path` in one step, so that a reader never sees half of it."""
    with open(os.path.join(HERE, "peers", template)) as f:
        text = f.read()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    write(path + ".new", text)
    os.replace(path + ".new", path)


def version_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return (done.stdout.strip() or "?").splitlines()[0]


class Server:
    """One server under test; `start` runs it on a new port."""
    checks_keys = True
    real_time = True

    def __init__(self, world, way=PLAIN):
        self.world = world
        self.way = way
        self.process = None
        self.port = None

    def start(self):
        self.port = free_port()
        log = os.path.join(self.world.directory, f"{self.name}.log")
        self.process = Process(self.name, self.command(), SERVER_CORE, log, self.real_time)
        self.process.await_listening(self.port)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def values(self):
        return {"DIR": self.world.directory, "PORT": self.port, "UPSTREAM": self.world.upstream_for(self.way),
                "WORKERS": self.world.workers, "CONNECTIONS": self.world.connections, "NOFILE": self.world.descriptors,
                "POOL": POOL, "CERTIFICATE": self.way.certificate}

    def template(self, name):
        """nginx.conf.in, or nginx-grpc.conf.in where the job is another."""
        if not self.way.job:
            return name
        first, rest = name.split(".", 1)
        return f"{first}-{self.way.job}.{rest}"

    def path(self, name):
        return os.path.join(self.world.directory, name)


class Pump(Server):
    name = "pump"
    checks_keys = False

    def version(self):
        return "byte pump: accept, connect, copy"

    def command(self):
        return [os.path.join(self.world.tools, "bench_pump"), "--listen", f"127.0.0.1:{self.port}",
                "--upstream", f"127.0.0.1:{self.world.upstream_for(self.way)}", "--workers", self.world.workers]


class Nginx(Server):
    name = "nginx"

    def version(self):
        return version_of([self.world.nginx, "-v"])

    def command(self):
        conf = self.path("nginx.conf")
        listen = (" ssl" if self.way.tls else "") + (" http2" if self.way.http2 else "")
        render(self.template("nginx.conf.in"), conf, {**self.values(), "LISTEN": listen})
        return [self.world.nginx, "-e", "stderr", "-p", self.world.directory, "-c", conf]


class Haproxy(Server):
    name = "haproxy"

    def version(self):
        return version_of([self.world.haproxy, "-v"])

    def command(self):
        conf = self.path("haproxy.cfg")
        bind = " proto h2" if self.way.http2 and not self.way.tls else ""
        if self.way.tls:
            pem = self.path(f"{self.way.certificate}.pem")
            bind = f" ssl crt {pem} alpn " + ("h2,http/1.1" if self.way.http2 else "http/1.1")
        render(self.template("haproxy.cfg.in"), conf, {**self.values(), "BIND": bind})
        return [self.world.haproxy, "-db", "-f", conf]


class Sluice(Server):
    name = "sluice"
    io = "io_uring"
    routes = ""  # extra lines below the API, for the reload measurement
    bounds = ""  # more of the upstream, for the overload

    def __init__(self, world, way=PLAIN):
        super().__init__(world, way)
        self.keys = world.keys

    def version(self):
        return version_of([self.world.sluice, "--version"])

    def write_configuration(self):
        tls = ", tls: { certificates: [bench] }" if self.way.tls else ""
        pair = f"{{ cert: {self.path(self.way.certificate)}.crt, key: {self.path(self.way.certificate)}.key }}"
        render(self.template("sluice.yaml.in"), self.path(f"{self.name}.yaml"),
               {**self.values(), "IO": self.io, "STATUS": self.status_port, "ROUTES": self.routes, "BOUNDS": self.bounds, "CONSUMERS": self.keys.yaml,
                "TLS": tls, "CERTIFICATES": f"certificates: {{ bench: {pair} }}" if tls else ""})

    def command(self):
        self.status_port = free_port()
        self.write_configuration()
        return [self.world.sluice, "run", self.path(f"{self.name}.yaml")]


class SluiceOnEpoll(Sluice):
    """The same binary on its other I/O back-end."""
    name = "sluice-epoll"
    io = "epoll"


KINDS = {"pump": Pump, "nginx": Nginx, "haproxy": Haproxy}


def make_certificates(directory):
    """NAME.crt, NAME.key and both in NAME.pem: self-signed, for nobody looks."""
    for name, key in (("ecdsa", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("rsa", ["rsa:2048"])):
        crt, key_file = (os.path.join(directory, f"{name}.{kind}") for kind in ("crt", "key"))
        done = subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "90", "-subj", "/CN=bench.test", "-addext",
                               "subjectAltName=DNS:bench.test", "-newkey", *key, "-keyout", key_file, "-out", crt],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"openssl makes no certificate: {done.stderr.strip()}")
        with open(crt) as certificate, open(key_file) as private:
            write(os.path.join(directory, f"{name}.pem"), certificate.read() + private.read())


class World:
    """What all servers of one run share: directory, keys, tools, the upstream."""

    def __init__(self, directory, arguments, keys, descriptors):
        self.directory = directory
        self.tools = arguments.tools
        self.nginx, self.haproxy, self.sluice = arguments.nginx, arguments.haproxy, arguments.sluice
        self.workers = 1
        self.keys = keys
        self.descriptors = descriptors
        # What each server is allowed: the idle ones, or 1,024 busy ones with as many to the upstream, and some room.
        self.connections = max(arguments.idle, 4096) + 1000
        make_certificates(directory)
        self.upstreams = {}
        self.upstream_port = self.upstream_for(PLAIN)

    def upstream_for(self, way):
        """The port of the upstream for it, started when it is asked for first."""
        tool = {"grpc": "bench_grpc", "websocket": "bench_websocket"}.get(way.job, "bench_upstream")
        if tool not in self.upstreams:
            port = free_port()
            process = Process(tool, [os.path.join(self.tools, tool), "--listen", f"127.0.0.1:{port}"], LOAD_CORE,
                              os.path.join(self.directory, f"{tool}.log"))
            self.upstreams[tool] = (port, process)
            process.await_listening(port)
        return self.upstreams[tool][0]

    def stop(self):
        for _, process in self.upstreams.values():
            process.stop()


def ask(server, path, headers):
    """Status, fields in lower case, body."""
    way = server.way
    fields = []
    for name, value in {"Host": "bench.test", "X-Debug": "1", **headers}.items():
        fields += ["--header", f"{name}: {value}"]
    url = f"{way.scheme}://127.0.0.1:{server.port}{path}"
    done = subprocess.run(["curl", "--silent", "--show-error", "--include", "--max-time", "10", *way.curl, *fields, url],
                          capture_output=True)
    head, _, body = done.stdout.decode("latin-1").partition("\r\n\r\n")
    if not head:
        raise BenchError(f"{server.name} does not answer {url}: {done.stderr.decode().strip()}")
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}, body


def prove_same_job(server):
    """Raises unless the server checks keys and changes headers as all the others do. Where the job is a protocol's own,
    the load proves it."""
    if not server.checks_keys or server.way.job:
        return
    key, consumer = server.world.keys.keys[0], server.world.keys.names[0]
    for headers, wanted in (({}, 401), ({"X-API-Key": "wrong"}, 401), ({"X-API-Key": key}, 200)):
        for _ in range(100):  # a server may accept before its upstream is known
            status, answered, body = ask(server, "/echo", headers)
            if status not in (502, 503):
                break
            time.sleep(0.02)
        if status != wanted:
            raise BenchError(f"{server.name} answers {status} instead of {wanted} to {headers}: {body[:300]}")
    sent = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in body.split("\r\n")[1:] if ":" in line}
    expected = {"host": "bench.test", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": server.way.scheme,
                "x-forwarded-host": "bench.test", "x-consumer-id": consumer, "x-gateway": "bench"}
    problems = [f"{k} is {sent.get(k)!r} upstream, not {v!r}" for k, v in expected.items() if sent.get(k) != v]
    problems += [f"{k} is missing upstream" for k in ("via", "x-request-id") if k not in sent]
    problems += [f"{k} reaches the upstream" for k in ("x-debug", "x-api-key") if k in sent]
    if answered.get("x-served-by") != "bench":
        problems.append("x-served-by is missing in the answer")
    if answered.get("x-request-id") != sent.get("x-request-id"):
        problems.append("the answer's x-request-id is not the upstream's")
    if "x-upstream-node" in answered:
        problems.append("x-upstream-node is not removed from the answer")
    if problems:
        raise BenchError(f"{server.name} does not do the same job: " + "; ".join(problems))
