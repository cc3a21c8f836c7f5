"""The ARN that a call about a log stream is authorized against."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.patching import replaces

ABOUT_STREAMS = ("CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents")


def apply() -> None:
    """ministack authorizes all calls against the log group, AWS those about a stream against the stream.

    A log group's `Arn` in CloudFormation ends with `:*`, so that policies made of it allow the streams.
    """
    from ministack.core import iam_actions

    @replaces(iam_actions, "extract_resource_arn", "service method path headers body query_params region account_id")
    def extract_resource_arn(
        original: Any,
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        arn = str(original(service, method, path, headers, body, query_params, region, account_id))
        action = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        if service != "logs" or action not in ABOUT_STREAMS or arn == "*":
            return arn
        return f"{arn}:log-stream:{json.loads(body).get('logStreamName', '')}"
