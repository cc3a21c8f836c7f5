"""Who may send mails, and the mails that SES accepted, kept whole so that tests and people can read them."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.patching import replaces

INBOX = "/_ministack/ses/messages"


def apply() -> None:
    """ministack keeps a raw mail's subject and text only, AWS sends it whole: `INBOX` shows it as `Raw` (base64).

    It authorizes sending against `*`, AWS against the sender's identity, with the condition key ses:FromAddress; a raw
    mail is ses:SendRawEmail.
    """
    from ministack import app
    from ministack.core.responses import get_account_id
    from ministack.services import ses_v2

    @replaces(app, "_enforce_ses_v2", "method path headers body query_params request_id")
    def enforce(
        original: Any,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        request_id: str,
    ) -> Any:
        request = _request(body) if method == "POST" and path.endswith("/outbound-emails") else {}
        sender = str(request.get("FromEmailAddress", "")).rpartition("<")[2].rstrip(">")
        if not sender or not app.AUTH:
            return original(method, path, headers, body, query_params, request_id)
        action = "ses:SendRawEmail" if "Raw" in request.get("Content", {}) else "ses:SendEmail"
        identity = sender if sender in ses_v2._identities else sender.rpartition("@")[2]
        region = app.extract_region(headers, query_params)
        arn = f"arn:aws:ses:{region}:{get_account_id()}:identity/{identity}"
        context = {"ses:fromaddress": sender}
        return app._enforce_data_plane(
            "sesv2", action, headers, query_params, request_id, arn, service_context=context, named_resource=arn
        )

    @replaces(ses_v2, "handle_request", "method path headers body query_params")
    async def handle_request(
        original: Any, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        status, answer_headers, answer = await original(method, path, headers, body, query_params)
        if method == "POST" and path.endswith("/outbound-emails") and status == 200:
            raw = json.loads(body).get("Content", {}).get("Raw", {}).get("Data")
            record = ses_v2._sent_emails_list()[-1]
            if raw and record["MessageId"] == json.loads(answer)["MessageId"]:
                record["Raw"] = raw
        return status, answer_headers, answer

    @replaces(app, "_handle_ses_messages_request", "method path headers query_params")
    async def show(original: Any, method: str, path: str, headers: dict[str, str], query_params: dict[str, Any]) -> Any:
        answer = await original(method, path, headers, query_params)
        if answer is None or answer[0] != 200:
            return answer
        whole = _raw_mails(app._get_module("ses"))
        shown = json.loads(answer[2])
        for messages in shown["messages"].values():
            for message in messages:
                message["Raw"] = whole.get(message["MessageId"])
        return answer[0], answer[1], json.dumps(shown).encode()


def _request(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}  # SES itself refuses it
    return request if isinstance(request, dict) else {}


def _raw_mails(ses: Any) -> dict[str, str]:
    records = [record for records in ses._sent_emails.to_dict().values() for record in records]
    return {record["MessageId"]: record["Raw"] for record in records if "Raw" in record}
