"""Snowflake's HTTP protocol, as far as the Python connector 5 speaks it: log in, query, fetch chunks, renew, end.

fakesnow's own server lets nobody of connector 5 in (no master token), believes every password, ignores AUTOCOMMIT and
answers everything inline; so only its SQL side is used, and the protocol is served here.
"""

from __future__ import annotations

import gzip
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import pyarrow as pa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.warehouse import login, protocol, results, values
from local.warehouse.dispatcher import Dispatcher
from local.warehouse.errors import SnowflakeError, unsupported
from local.warehouse.lexer import tokenize
from local.warehouse.result_chunks import ResultChunks
from local.warehouse.results import Result
from local.warehouse.session import Session

logger = logging.getLogger("local.warehouse")
THREADS = 500  # statements that wait for a lock hold a thread; the one that frees it must still get one
SESSION_GONE = SnowflakeError(390104, "08001", "Session no longer exists. New login required to access the service.")


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


class Server:
    """The routes over one account. `password` is the administrator's; without one nobody logs in as ADMIN."""

    def __init__(self, dispatcher: Dispatcher, password: str | None) -> None:
        self.account = dispatcher.account
        self._dispatcher = dispatcher
        self._password = password
        self._tokens: dict[str, Session] = {}
        self._chunks = ResultChunks()
        self._running: dict[str, Session] = {}
        self._done: OrderedDict[str, str] = OrderedDict()

    def app(self) -> Starlette:
        """The ASGI application."""
        post, get = ["POST"], ["GET"]
        return Starlette(
            routes=[
                Route("/session/v1/login-request", self._guarded(self.log_in), methods=post),
                Route("/session", self._guarded(self.end), methods=post),
                Route("/session/heartbeat", self._guarded(self.heartbeat), methods=post),
                Route("/session/token-request", self._guarded(self.renew), methods=post),
                Route("/queries/v1/query-request", self._guarded(self.query), methods=post),
                Route("/queries/v1/abort-request", self._guarded(self.abort), methods=post),
                Route("/monitoring/queries/{query_id}", self._guarded(self.monitor), methods=get),
                Route("/monitoring/queries//{query_id}", self._guarded(self.monitor), methods=get),
                Route("/telemetry/send", self._accept, methods=post),
                Route("/telemetry/send/sessionless", self._accept, methods=post),
                Route("/_warehouse/chunks/{result}/{number:int}", self.chunk, methods=get),
                Route("/_warehouse/health", self.health, methods=get),
                Route("/_warehouse/state", self.state, methods=get),
                Route("/_warehouse/faults", self._guarded(self.fault), methods=post),
            ],
            lifespan=_lifespan,
        )

    # --- plumbing

    def _guarded(self, handler: Any) -> Any:
        """The handler's answer, or a refusal in the protocol's form."""

        async def run(request: Request) -> Response:
            body = await request.body()
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                data = await run_in_threadpool(handler, request, json.loads(body) if body else {})
            except SnowflakeError as error:
                return protocol.refusal(error)
            except Exception as error:
                logger.exception("The stand-in failed at %s", request.url.path)
                return protocol.refusal(
                    SnowflakeError(370001, "XX000", f"Internal error of the local stand-in: {error!r}")
                )
            return JSONResponse({"data": data, "code": None, "message": None, "success": True})

        return run

    def _session(self, request: Request) -> Session:
        header = request.headers.get("authorization", "")
        token = header.partition('Token="')[2].rstrip('"')
        session = self._tokens.get(token)
        if session is None:
            raise SESSION_GONE
        return session

    async def _accept(self, _request: Request) -> Response:
        return JSONResponse({"data": "Log Received", "code": None, "message": None, "success": True})

    # --- sessions

    def log_in(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """A session for a user who proves to be one."""
        session = login.open_session(self.account, body["data"], request.query_params, self._password)
        self._tokens[session.token] = session
        return protocol.logged_in(session)

    def end(self, request: Request, _body: dict[str, Any]) -> None:
        """POST /session?delete=true."""
        session = self._session(request)
        if request.query_params.get("delete") == "true":
            self._tokens.pop(session.token, None)
            self.account.close_session(session)

    def heartbeat(self, request: Request, _body: dict[str, Any]) -> None:
        """Keep alive."""
        self._session(request)

    def renew(self, request: Request, _body: dict[str, Any]) -> dict[str, Any]:
        """A new session token for a master token."""
        header = request.headers.get("authorization", "").partition('Token="')[2].rstrip('"')
        for token, session in list(self._tokens.items()):
            if session.master_token == header:
                del self._tokens[token]
                session.token = secrets.token_urlsafe(32)
                self._tokens[session.token] = session
                return {
                    "sessionToken": session.token,
                    "masterToken": session.master_token,
                    "validityInSecondsST": 3600,
                    "validityInSecondsMT": 14400,
                    "sessionId": int(session.id) % 2**53,
                }
        raise SnowflakeError(390114, "08001", "Authentication token has expired. The user must authenticate again.")

    # --- queries

    def query(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """Run a statement and answer its result."""
        session = self._session(request)
        if body.get("asyncExec"):
            raise unsupported("asynchronous execution")
        if body.get("describeOnly"):
            return self._describe(request, session, body["sqlText"])
        request_id = request.query_params.get("requestId", "")
        self._running[request_id] = session
        try:
            result = self._execute(session, body)
        except SnowflakeError as error:
            logger.info("%s refused: %s", error.code, error.message.replace("\n", " "))
            raise
        finally:
            self._running.pop(request_id, None)
        self._done[result.query_id] = "SUCCESS"
        while len(self._done) > 1000:
            self._done.popitem(last=False)
        return self._answer(request, session, result)

    def _describe(self, request: Request, session: Session, sql: str) -> dict[str, Any]:
        """A statement's columns and `?`; an INSERT may then come with arrays of values."""
        result = self._dispatcher.describe(session, sql)
        binds = sum(token.is_sign("?") for token in tokenize(sql))
        insert = result.type_id == results.INSERT
        return self._answer(request, session, result) | {"numberOfBinds": binds, "arrayBindSupported": insert}

    def _execute(self, session: Session, body: dict[str, Any]) -> Result:
        sql, bindings = body["sqlText"], body.get("bindings")
        if not bindings:
            return self._dispatcher.execute(session, sql)
        ordered = [bindings[key] for key in sorted(bindings, key=int)] if all(k.isdigit() for k in bindings) else None
        if ordered is None:
            raise unsupported("named bindings")
        if not any(isinstance(binding["value"], list) for binding in ordered):
            return self._dispatcher.execute(session, sql, [values.from_binding(binding) for binding in ordered])
        columns = [[values.from_binding({**b, "value": v}) for v in b["value"]] for b in ordered]
        return self._batch(session, sql, list(zip(*columns, strict=True)))

    def _batch(self, session: Session, sql: str, rows: list[tuple[Any, ...]]) -> Result:
        """An array binding is one statement: all rows or none."""
        with session.busy:
            own = session.transaction is None
            session.begin()
            count = 0
            try:
                for row in rows:
                    result = self._dispatcher.execute(session, sql, list(row))
                    count += result.affected
            except BaseException:
                if own:
                    session.rollback()
                raise
            if own and session.autocommit:
                session.commit()
        result.table = pa.table({"number of rows inserted": [count]})
        return result

    def _answer(self, request: Request, session: Session, result: Result) -> dict[str, Any]:
        rowtype = results.describe(result.table)
        answer: dict[str, Any] = {
            "parameters": protocol.parameters(session),
            "rowtype": rowtype,
            "total": result.table.num_rows,
            "returned": result.table.num_rows,
            "queryId": result.query_id,
            "databaseProvider": None,
            "finalDatabaseName": session.database,
            "finalSchemaName": session.schema,
            "finalWarehouseName": session.warehouse,
            "finalRoleName": session.role,
            "numberOfBinds": 0,
            "arrayBindSupported": False,
            "statementTypeId": result.type_id,
            "version": 1,
            "sqlState": "00000",
        }
        if result.type_id != results.SELECT:
            rows = [[results.json_value(value) for value in row] for row in result.rows]
            return answer | {"queryResultFormat": "json", "rowset": rows}
        wire = results.wire_table(result.table, rowtype)
        first, rest = results.chunks(wire)
        answer |= {"queryResultFormat": "arrow", "rowsetBase64": results.inline(first)}
        if rest:
            answer |= self._chunks.keep(request.headers["host"], result.query_id, rest)
        return answer

    async def chunk(self, request: Request) -> Response:
        """One chunk of a large result; its address is the secret."""
        found = self._chunks.get(request.path_params["result"], request.path_params["number"])
        if found is None:
            return Response(status_code=404)
        return Response(found, media_type="application/octet-stream")

    def abort(self, request: Request, body: dict[str, Any]) -> None:
        """Interrupt the statement of a request."""
        self._session(request)
        session = self._running.get(str(body.get("requestId", "")))
        if session is not None:
            session.interrupt()

    def monitor(self, request: Request, _body: dict[str, Any]) -> dict[str, Any]:
        """The state of a query by its id."""
        self._session(request)
        query_id = request.path_params["query_id"]
        found = self._done.get(query_id)
        return {"queries": [{"id": query_id, "status": found, "state": found}] if found else []}

    # --- for tools and tests

    async def health(self, _request: Request) -> Response:
        """GET /_warehouse/health."""
        return JSONResponse({"status": "ok"})

    def fault(self, _request: Request, body: dict[str, Any]) -> None:
        """POST /_warehouse/faults: let statements fail, `{"matching": "ALTER TASK", "number": 91423, "times": 2}`."""
        self.account.faults.add(body)

    async def state(self, _request: Request) -> Response:
        """GET /_warehouse/state: objects, grants, tasks and locks, without any secret."""
        catalog = self.account.catalog
        listed: dict[str, list[dict[str, Any]]] = {}
        for kind, key, record in catalog.everything():
            listed.setdefault(kind, []).append({"name": key, "owner": record["owner"]} | protocol.shown(record))
        history = [
            {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in row.items()}
            for row in self.account.task_history
        ]
        return JSONResponse(
            {
                "objects": listed,
                "task_history": history,
                "locks": self.account.locks.held(),
                "sessions": len(self._tokens),
                "statements": dict(self.account.queries.counts),
            }
        )
