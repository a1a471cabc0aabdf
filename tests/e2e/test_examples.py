"""The committed examples and documents are right: they pass `check`, and the contract's example answers as its comments say."""

import re

from harness import check


def _on_loopback(text, ports):
    """The example with this run's ports in place of its fixed ones."""
    for old, new in ports.items():
        text = re.sub(rf"(0\.0\.0\.0|127\.0\.0\.1):{old}\b", f"127.0.0.1:{new}", text)
    return text


def test_every_example_passes_check(t):
    files = sorted((t.root / "examples").glob("**/*.yaml"))
    assert {"contract.yaml", "demo.yaml"} <= {path.name for path in files}, files
    for path in files:
        with t.case(path.name):
            done = t.sluice("check", str(path))
            check.equal(done.returncode, 0, done.stdout + done.stderr)


def test_every_document_in_the_docs_passes_check(t):
    """Each ```yaml block that begins with `version:` is a whole document."""
    t.file("grpc-transcode.proto", (t.root / "examples/grpc-transcode.proto").read_text())
    count = 0
    for path in [t.root / "README.md", *sorted((t.root / "docs").glob("**/*.md"))]:
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)):
            if block.startswith("version:"):
                count += 1
                with t.case(f"{path.name} block {number}"):
                    done = t.sluice("check", t.file("block.yaml", block))
                    check.equal(done.returncode, 0, done.stdout + done.stderr + block)
    assert count > 5, count


def test_contract_example_answers_as_documented(t):
    ports = {8080: "@port@", 8081: "@status@", 8082: t.free_port(), 8443: t.free_port(), 8444: t.free_port()}
    upstreams = {}
    for port in (7001, 7002, 7003):
        upstreams[port] = t.echo(str(port))
        ports[port] = upstreams[port].port
    text = _on_loopback((t.root / "examples/contract.yaml").read_text(), ports)
    gateway = t.gateway(whole_file=text)
    client, key = t.caller(gateway), ("X-API-Key", "demo-key")
    for method, target, fields, body, status, upstream, more in (
            ("GET", "/api/v1/users/1", [key], None, 200, ("7001", "7002"), {"x-route": "read"}),
            ("HEAD", "/api/v1/users", [key], None, 200, None, {"x-route": "read"}),
            ("POST", "/api/v1/users", [key], b'{"kind":"single"}', 200, ("7001", "7002"), {"x-route": "write"}),
            ("DELETE", "/api/v1/users/1", [key], None, 200, ("7001", "7002"), {"x-route": "write"}),
            ("POST", "/api/v1/users", [key], b'{"kind":"bulk"}', 200, ("7003",), {}),
            ("GET", "/api/v1/users", [key, ("X-Channel", "beta")], None, 200, ("7003",), {}),
            ("POST", "/api/v1/users", [key, ("X-Channel", "beta")], b'{"kind":"bulk"}', 200, ("7003",), {}),
            ("OPTIONS", "/api/v1/users", [key], None, 405, None, {}),
            ("GET", "/api/v1/users/1", [], None, 401, None, {}), ("GET", "/api/v1/users/1", [("X-API-Key", "x")], None, 401, None, {}),
            ("GET", "/api/v1/users/old/7/orders", [key], None, 308, None, {"location": "/api/v1/users/7/orders"}),
            ("GET", "/api/v1/users/health", [], None, 200, None, {"content-type": "text/plain"}),
            ("GET", "/elsewhere", [], None, 404, None, {})):
        with t.case(f"{method} {target} {fields} {body}"):
            answer = client.request(method, target, fields, body, host="api.example.com")
            check.equal(answer.status, status, "status")
            check.equal(answer.get("x-served-by"), "sluice", "x-served-by")
            for name, want in more.items():
                check.equal(answer.get(name), want, name)
            if upstream:
                assert answer.json["upstream"] in upstream, answer.json["upstream"]
                check.equal(check.field(answer.json, "x-consumer-id"), "mobile-app")
    with t.case("another host"):
        check.problem(client.get("/api/v1/users/1", [key], host="other.test"), 404)
    with t.case("another listener"):
        check.problem(t.caller(ports[8082]).get("/api/v1/users/1", [key], host="api.example.com"), 404)
    with t.case("body limit of the API"):
        big = t.client(gateway)
        big.send(b"POST /api/v1/users HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: demo-key\r\nContent-Length: 1048577\r\n\r\n" + b"z" * 70_000)  # enough for the body condition
        check.problem(big.response(), 413)
    with t.case("weights"):
        seen = [client.get("/api/v1/users", [key], host="api.example.com").json["upstream"] for _ in range(30)]
        check.equal((seen.count("7001"), seen.count("7002")), (10, 20))
    with t.case("health has no log line"):
        gateway.log_line(path="/elsewhere")
        assert all(entry["path"] != "/api/v1/users/health" for entry in gateway.log())


def test_demo_example_answers_as_documented(t):
    ports = {8080: "@port@", 8443: t.free_port(), 7001: t.echo("users").port, 7002: t.echo("orders").port}
    text = _on_loopback((t.root / "examples/demo.yaml").read_text(), ports)
    text = text.replace("gateway:\n", "gateway:\n  status: { address: 127.0.0.1:@status@ }\n", 1)
    gateway = t.gateway(whole_file=text)
    client, key = t.caller(gateway), [("X-API-Key", "demo-key")]
    check.equal(client.get("/api/v1/users/1", key).json["upstream"], "users")
    check.equal(client.get("/api/v1/orders/1", key).json["upstream"], "orders")
    check.problem(client.get("/api/v1/users/1"), 401)
    check.problem(client.get("/nothing"), 404)
    check.equal(client.get("/health").status, 200)
    check.equal([client.get("/api/v1/users/1", key).status for _ in range(10)], [200] * 9 + [429])
