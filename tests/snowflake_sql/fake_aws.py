"""The few AWS answers that a deploy to Snowflake needs: secrets, assets, IAM, a role to assume and an API."""

import hashlib
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

CALLER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{account}:user/u</Arn><UserId>u</UserId><Account>{account}</Account></GetCallerIdentityResult>
</GetCallerIdentityResponse>"""
STACKS = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>{stack}</StackName><StackStatus>UPDATE_COMPLETE</StackStatus>
<CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult>
</DescribeStacksResponse>"""
NO_STACK = """<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>
<Message>Stack with id {stack} does not exist</Message></Error></ErrorResponse>"""

NOT_TRUSTED = """<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"""


class FakeAws:
    """One server for all of it; `url` is its endpoint.

    `secrets` and `objects` are what the stores hold; `calls` are the bodies that the API took; `replies` are statuses
    and bodies that it gives first, then it succeeds again; `answers` are what CloudFormation was told, by request;
    `outputs` are those of the deployed stacks, of account `account`; `trusts` says whether roles may be assumed.
    """

    def __init__(self):
        self.secrets, self.objects, self.answers, self.calls, self.replies = {}, {}, {}, [], []
        self.outputs, self.account, self.trusts = {}, "000000000000", True
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                found = owner.objects.get(urlsplit(self.path).path.lstrip("/"))
                self.answer(200 if found else 404, found or b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")

            def do_PUT(self):  # noqa: N802
                answer = json.loads(self.body())
                owner.answers[answer["RequestId"]] = answer
                self.answer(200, b"", "text/plain")

            def do_POST(self):  # noqa: N802
                body = self.body()
                target = self.headers.get("x-amz-target", "")
                if target.startswith("secretsmanager."):
                    self.answer(*owner.secret(target.partition(".")[2], json.loads(body)), "application/x-amz-json-1.1")
                elif body.startswith(b"Action="):
                    asked = {key: values[0] for key, values in parse_qs(body.decode()).items()}
                    status, said = owner.query(asked["Action"], asked)
                    self.answer(status, said.encode(), "text/xml")
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

    def query(self, action, asked):
        if action == "GetCallerIdentity":
            return 200, CALLER.format(account=self.account)
        if action == "DescribeStacks":
            stack = asked["StackName"]
            if stack not in self.outputs:
                return 400, NO_STACK.format(stack=stack)
            member = "<member><OutputKey>{}</OutputKey><OutputValue>{}</OutputValue></member>"
            outputs = "".join(member.format(*pair) for pair in self.outputs[stack].items())
            return 200, STACKS.format(stack=stack, outputs=outputs)
        if action == "AssumeRole" and not self.trusts:
            return 403, NOT_TRUSTED
        reply = ASSUMED if action == "AssumeRole" else MADE
        return 200, reply.format(arn=asked.get("RoleArn"), action=action)

    def secret(self, action, asked):
        name = asked["SecretId"]
        if action == "PutSecretValue":
            self.secrets[name] = asked["SecretString"]
        if name not in self.secrets:
            return 400, json.dumps({"__type": "ResourceNotFoundException", "message": "no such secret"}).encode()
        text = self.secrets[name]
        version = hashlib.sha256(text.encode()).hexdigest()[:32]  # another value is another version
        answer = {"ARN": name, "Name": name, "SecretString": text, "VersionId": version}
        answer["VersionIdsToStages"] = {version: ["AWSCURRENT"]}
        return 200, json.dumps(answer).encode()

    def trigger(self, body):
        self.calls.append(body)
        if self.replies:
            status, reply = self.replies.pop(0)
            return status, json.dumps(reply).encode()
        return 200, json.dumps({"data": [[row[0], {"desired": 1, "was": 0}] for row in body["data"]]}).encode()
