"""An HTTP server between the service and a stand-in, whose behaviour a test chooses."""

import contextlib
import gzip
import http.client
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "proxy-connection", "content-length"}


class FaultyProxy:
    """Forwards to `upstream` until `fault` says otherwise.

    `fault(request)` gets (method, path, body) and returns None to forward, or one of: ("status", code),
    ("nonsense", text), ("slow", seconds) to forward later, "cut" to close before forwarding, "cut after" to close once
    the other side has done it.
    """

    def __init__(self, upstream, ca_file=None):
        self.fault = lambda request: None
        self.seen = []  # (method, path, body) of what was forwarded
        target = urlsplit(upstream)
        context = ssl.create_default_context(cafile=ca_file) if target.scheme == "https" else None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = (self.command, self.path, body)
                fault = proxy.fault(request)
                if fault == "cut":
                    return self.cut()
                if isinstance(fault, tuple) and fault[0] == "status":
                    return self.answer(fault[1], b"<html>away</html>")
                if isinstance(fault, tuple) and fault[0] == "nonsense":
                    return self.answer(200, fault[1].encode())
                if isinstance(fault, tuple) and fault[0] == "slow":
                    time.sleep(fault[1])
                status, headers, content = self.forward(body)
                proxy.seen.append(request)
                if fault == "cut after":
                    return self.cut()
                return self.answer(status, content, headers)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_one  # noqa: N815 - http.server's names

            def forward(self, body):
                options = {"context": context} if context else {}
                kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
                connection = kind(target.hostname, target.port, timeout=60, **options)
                try:
                    connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        connection.putheader(name, value)
                    connection.endheaders(body)
                    answer = connection.getresponse()
                    return answer.status, answer.getheaders(), answer.read()
                finally:
                    connection.close()

            def answer(self, status, content, headers=()):
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def cut(self):
                self.close_connection = True
                self.connection.close()

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(OSError, ValueError):  # the other end has gone
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stop."""
        self.server.shutdown()
        self.server.server_close()


def sql_of(body):
    """The SQL of a request to Snowflake."""
    content = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    try:
        return json.loads(content).get("sqlText", "")
    except ValueError:
        return ""
