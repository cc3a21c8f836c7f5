"""Amazon SES at its outermost edge: it takes every e-mail and remembers to whom it went."""

import base64
import email
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mailbox:
    """The SendEmail operation of SES (version 2) on a free port; an answer takes `seconds`."""

    def __init__(self, seconds=0.02):
        self.sent = []  # (recipient, subject)
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                (recipient,) = body["Destination"]["ToAddresses"]
                message = email.message_from_bytes(base64.b64decode(body["Content"]["Raw"]["Data"]))
                mailbox.sent.append((recipient, message["Subject"]))
                time.sleep(seconds)
                answer = json.dumps({"MessageId": str(uuid.uuid4())}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
