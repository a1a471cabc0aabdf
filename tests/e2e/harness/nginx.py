"""nginx as a peer: a real upstream, and a reverse proxy in the gateway's place to debug this harness."""

import os
import subprocess

from harness import patience, ports
from harness.curl import peer

HEAD = """
{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log notice;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; default_type text/plain;
  {http}
}}
"""
# Started by root it would serve as somebody who may not read the test's folder.
USER = "user root root;" if os.geteuid() == 0 else ""
PROXY = """
  upstream behind {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_buffering off; proxy_request_buffering off; proxy_next_upstream off; client_max_body_size 0;
    location / {{ proxy_pass http://behind; }}
  }}
"""


class Nginx:
    def __init__(self, folder, http, port=None):
        self.folder = os.path.join(folder, f"nginx-{os.urandom(4).hex()}")
        os.makedirs(self.folder)
        self.port = port or ports.free_port()
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as out:
            out.write(HEAD.format(user=USER, folder=self.folder, http=http.replace("@port@", str(self.port))))
        self.process = subprocess.Popen([peer("nginx"), "-p", self.folder, "-c", config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        patience.poll("nginx listens", self._listens)

    @classmethod
    def proxy(cls, folder, upstream):
        port = ports.free_port()
        return cls(folder, PROXY.format(upstream=upstream, port=port), port)

    def _listens(self):
        import socket
        assert self.process.poll() is None, f"nginx ended: {self.log()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        path = os.path.join(self.folder, "nginx.log")
        return open(path, errors="replace").read()[-4000:] if os.path.exists(path) else ""

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
