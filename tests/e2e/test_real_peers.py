"""Real clients and servers: curl before the gateway, nginx behind it."""

import hashlib
import os

from harness import check

NGINX = """
  server {
    listen 127.0.0.1:@port@; root @root@; keepalive_timeout 60;
    location /echo { return 200 "$request_method $request_uri $http_host $http_x_forwarded_for\\n"; }
    location /upload { client_max_body_size 100m; client_body_in_single_buffer on; proxy_pass http://127.0.0.1:@port@/discard; }
    location /discard { client_max_body_size 100m; return 200 "$content_length $http_transfer_encoding\\n"; }
    location /gzip { gzip on; gzip_min_length 1; gzip_types *; alias @root@; }
    location /slow { limit_rate 3m; alias @root@; }
  }
"""


def _gateway(t):
    os.makedirs(t.folder + "/root")
    with open(t.folder + "/root/big.bin", "wb") as out:
        out.write(os.urandom(3_000_000))
    with open(t.folder + "/root/small.txt", "w") as out:
        out.write("small\n")
    nginx = t.nginx(NGINX.replace("@root@", t.folder + "/root"))
    os.chmod(t.folder, 0o755)
    os.chmod(os.path.dirname(t.folder), 0o755)
    return t.front_of(nginx), nginx


def test_curl_through_the_gateway_to_nginx(t):
    gateway, _ = _gateway(t)
    url = f"http://127.0.0.1:{gateway.port}"
    answer = t.curl(f"{url}/echo/x?y=z")
    check.equal(answer.status, 200)
    check.equal(answer.body.split()[:2], ["GET", "/echo/x?y=z"])
    check.equal(answer.body.split()[3], "127.0.0.1")
    check.equal(t.curl("--head", f"{url}/small.txt").status, 200)
    check.equal(t.curl("--http1.0", f"{url}/small.txt").body, "small\n")
    check.equal(t.curl("-H", "Transfer-Encoding: chunked", "--data-binary", "@" + t.folder + "/root/small.txt", f"{url}/discard").status, 200)
    check.equal(t.curl("-T", t.folder + "/root/big.bin", f"{url}/upload").status, 200)  # sends Expect: 100-continue
    check.equal(t.curl(f"{url}/missing").status, 404)
    check.equal(t.curl("--path-as-is", f"{url}/a/../../x").status, 400)


def test_large_file_arrives_whole(t):
    gateway, _ = _gateway(t)
    want = hashlib.sha256(open(t.folder + "/root/big.bin", "rb").read()).hexdigest()
    for target, arguments in (("/big.bin", []), ("/slow/big.bin", []), ("/big.bin", ["--http1.0"]), ("/gzip/big.bin", ["--compressed"])):
        with t.case(f"{target} {arguments}"):
            answer = t.curl(*arguments, f"http://127.0.0.1:{gateway.port}{target}", timeout=60)
            check.equal(hashlib.sha256(answer.body.encode("latin-1")).hexdigest(), want)


def test_ranges_and_conditions_pass(t):
    gateway, _ = _gateway(t)
    client = t.client(gateway)
    answer = client.get("/small.txt", [("Range", "bytes=1-3")])
    check.equal((answer.status, answer.body), (206, b"mal"))
    tag = client.get("/small.txt").get("etag")
    check.equal(client.get("/small.txt", [("If-None-Match", tag)]).status, 304)
    client.expect_open("/small.txt")


def test_nginx_restart_is_survived(t):
    """Kept connections that nginx closes on its end never cost a request."""
    gateway, nginx = _gateway(t)
    client = t.client(gateway)
    for _ in range(3):
        check.equal(client.get("/echo").status, 200)
    port = nginx.port
    nginx.stop()
    t.nginx(NGINX.replace("@root@", t.folder + "/root"), port)
    t.poll("it serves again", lambda: client.get("/echo").status == 200)
    for _ in range(3):
        check.equal(client.get("/echo").status, 200)
