"""Pieces of Snowflake's protocol: logins, errors, names and parameters as requests and answers carry them."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from local.warehouse.errors import SnowflakeError
from local.warehouse.session import DEFAULTS, Session


def shown(record: dict[str, Any]) -> dict[str, Any]:
    """What /_warehouse/state tells of an object."""
    return {key: record[key] for key in ("state", "failures", "table", "url") if key in record}


def refusal(error: SnowflakeError) -> JSONResponse:
    """An error as the protocol answers it."""
    data = {"errorCode": error.code, "sqlState": error.sqlstate, "queryId": error.query_id, "internalError": False}
    return JSONResponse({"data": data, "code": error.code, "message": error.message, "success": False})


def logged_in(session: Session) -> dict[str, Any]:
    """The answer to a login: the session's tokens, and where it starts."""
    return {
        "token": session.token,
        "masterToken": session.master_token,
        "validityInSeconds": 3600,
        "masterValidityInSeconds": 14400,
        "displayUserName": session.user,
        "serverVersion": "9.40.0",
        "firstLogin": False,
        "remMeToken": None,
        "remMeValidityInSeconds": 0,
        "healthCheckInterval": 45,
        "sessionId": int(session.id),
        "parameters": parameters(session),
        "sessionInfo": {
            "databaseName": session.database,
            "schemaName": session.schema,
            "warehouseName": session.warehouse,
            "roleName": session.role,
        },
    }


def name(text: str | None) -> str | None:
    """A name out of a connection's options, in upper case unless quoted."""
    if not text:
        return None
    return text[1:-1] if text.startswith('"') else text.upper()


def parameter(name: str, value: Any) -> Any:
    """A session parameter of a login, which come as texts."""
    if isinstance(DEFAULTS[name], bool):
        return str(value).lower() == "true"
    return type(DEFAULTS[name])(value)


def parameters(session: Session) -> list[dict[str, Any]]:
    """The parameters that a client wants to know."""
    shown = {name: session.parameter(name) for name in ("AUTOCOMMIT", "TIMEZONE", "QUERY_TAG")}
    shown |= {
        "CLIENT_SESSION_KEEP_ALIVE": False,
        "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY": 3600,
        "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD": 0,
        "CLIENT_TELEMETRY_ENABLED": False,
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    }
    return [{"name": name, "value": value} for name, value in shown.items()]
