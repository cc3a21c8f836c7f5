"""The few AWS answers that a deploy to Snowflake needs: secrets, assets, IAM, a role to assume and an API."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>ASIAFAKE</AccessKeyId><SecretAccessKey>fake</SecretAccessKey><SessionToken>fake</SessionToken>
<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><Arn>{arn}/session</Arn><AssumedRoleId>AROAFAKE:session</AssumedRoleId></AssumedRoleUser>
</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"""
MADE = """<{action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{action}Result><User><UserName>u</UserName></User>
<AccessKey><UserName>u</UserName><AccessKeyId>AKIAFAKE</AccessKeyId><SecretAccessKey>fake</SecretAccessKey>
<Status>Active</Status></AccessKey></{action}Result></{action}Response>"""


class FakeAws:
    """One server for all of it; `url` is its endpoint.

    `secrets` and `objects` are what the stores hold; `calls` are the bodies that the API took; `replies` are statuses
    and bodies that it gives first, before it goes back to success; `answers` are what CloudFormation was told.
    """

    def __init__(self):
        self.secrets, self.objects, self.calls, self.replies, self.answers = {}, {}, [], [], []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                found = owner.objects.get(urlsplit(self.path).path.lstrip("/"))
                self.answer(200 if found else 404, found or b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")

            def do_PUT(self):  # noqa: N802
                owner.answers.append(json.loads(self.body()))
                self.answer(200, b"", "text/plain")

            def do_POST(self):  # noqa: N802
                body = self.body()
                target = self.headers.get("x-amz-target", "")
                if target.startswith("secretsmanager."):
                    self.answer(*owner.secret(target.partition(".")[2], json.loads(body)), "application/x-amz-json-1.1")
                elif body.startswith(b"Action="):
                    asked = {key: values[0] for key, values in parse_qs(body.decode()).items()}
                    reply = ASSUMED if asked["Action"] == "AssumeRole" else MADE
                    said = reply.format(arn=asked.get("RoleArn"), action=asked["Action"])
                    self.answer(200, said.encode(), "text/xml")
                else:
                    self.answer(*owner.trigger(json.loads(body)), "application/json")

            def body(self):
                return self.rfile.read(int(self.headers.get("content-length") or 0))

            def answer(self, status, body, kind):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def secret(self, action, asked):
        name = asked["SecretId"]
        if action == "PutSecretValue":
            self.secrets[name] = asked["SecretString"]
        if name not in self.secrets:
            return 400, json.dumps({"__type": "ResourceNotFoundException", "message": "no such secret"}).encode()
        return 200, json.dumps({"ARN": name, "Name": name, "SecretString": self.secrets[name]}).encode()

    def trigger(self, body):
        self.calls.append(body)
        if self.replies:
            status, reply = self.replies.pop(0)
            return status, json.dumps(reply).encode()
        return 200, json.dumps({"data": [[row[0], {"desired": 1, "was": 0}] for row in body["data"]]}).encode()
