"""What the bodies of functions and procedures may reach: the hosts and secrets that their integrations name.

Source: Snowflake's pages "External network access overview", "CREATE EXTERNAL ACCESS INTEGRATION" and "API Reference
for Access to Secrets". Bodies run in the server's own process. A Python audit hook watches what they and their threads
do: a connection to anything but an allowed host fails as it does in Snowflake; other processes and native libraries,
which it could not watch, are refused. It finds mistakes; it is no prison for hostile code.
"""

from __future__ import annotations

import _posixsubprocess
import _thread
import os
import re
import socket
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from local.warehouse.catalog import Record
from local.warehouse.errors import unsupported

if TYPE_CHECKING:
    from local.warehouse.account import Account

Place = tuple[str, int]

_API = re.compile(r"[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com")
_ESCAPES = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"}
_NATIVE = "ctypes.dlopen"
_NAMES = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_resolve = socket.getaddrinfo


@dataclass(frozen=True)
class Access:
    """What one program may reach while it runs: hosts with ports (`*.` for one label, port 0 for all), secrets."""

    places: frozenset[Place] = frozenset()
    secrets: Mapping[str, Record] = field(default_factory=dict)
    addresses: set[Place] = field(default_factory=set)
    is_thread: bool = False

    def allows(self, host: str, port: int) -> bool:
        """Whether a network rule lets the program go there."""
        return any(
            port in (number, number or port) and re.fullmatch(re.escape(name).replace(r"\*", "[a-z0-9-]+"), host)
            for name, number in self.places
        )


class _Thread(threading.local):
    """What runs in a thread now; unlike a context variable, no body can start with an empty one."""

    access: Access | None = None


_running = _Thread()


def access_of(account: Account, record: Record) -> Access:
    """What a program may reach now. Raises 002003 if one of its integrations or secrets is gone."""
    integrations = [account.catalog.need("INTEGRATION", key) for key in record.get("integrations", [])]
    enabled = [integration for integration in integrations if integration["ENABLED"]]
    rules = [rule for integration in enabled for rule in integration["ALLOWED_NETWORK_RULES"]]
    places = {place(value) for rule in rules for value in account.catalog.need("NETWORK RULE", rule)["VALUE_LIST"]}
    secrets = {
        name: account.catalog.need("SECRET", key)
        for name, key in record.get("secrets", {}).items()
        if any(is_allowed(integration, key) for integration in enabled)
    }
    return Access(frozenset(places), secrets)


def is_allowed(integration: Record, secret: str) -> bool:
    """Whether an external access integration lets programs read a secret."""
    allowed = integration.get("ALLOWED_AUTHENTICATION_SECRETS") or []
    return allowed == "ALL" or secret in allowed


def place(value: str) -> Place:
    """A value of a network rule, `api.example.com:8443`, as host and port; 443 is the default."""
    host, _, port = value.partition(":")
    return host.lower(), int(port or 443)


@contextmanager
def only(access: Access | None) -> Iterator[None]:
    """Let what runs inside reach only this; with None it is the server's own work, which reaches everything."""
    around, _running.access = _running.access, access
    try:
        yield
    finally:
        _running.access = around


def install() -> None:
    """Watch this process from now on, and make bodies trust the AWS stand-in as external functions do."""
    sys.addaudithook(_watch)
    socket.getaddrinfo = _getaddrinfo
    _watch_threads()
    # multiprocessing's way to a new process, of which no audit event tells
    _posixsubprocess.fork_exec = _unless_inside(_posixsubprocess.fork_exec, _refuse("another process"))
    sys.modules["_snowflake"] = _secrets_module()
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        os.environ |= {"REQUESTS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle}
    for name in (*_PROXIES, *map(str.upper, _PROXIES)):
        os.environ.pop(name, None)  # in Snowflake none stands between a body and its host


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    access = _running.access
    if access is None:
        return
    if event in _NAMES or (event in _SENDS and tuple(arguments[1] or ())[:2] not in access.addresses):
        raise _refusal()
    if event in _ESCAPES or (event == _NATIVE and arguments[0] is not None):
        raise RuntimeError(unsupported(f"{event} in a Python body").message)


def _watch_threads() -> None:
    """A thread that a body starts reaches what the body reaches, but for its secrets."""
    start, bootstrap = threading.Thread.start, threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def start_inside(thread: Any) -> None:
        access = _running.access
        thread.access = access and replace(access, is_thread=True)
        start(thread)

    def run_inside(thread: Any) -> None:
        with only(getattr(thread, "access", None)):
            bootstrap(thread)

    threading.Thread.start = start_inside  # type: ignore[assignment,method-assign]
    threading.Thread._bootstrap_inner = run_inside  # type: ignore[attr-defined]
    for name in ("start_new_thread", "start_new", "start_joinable_thread"):
        if hasattr(_thread, name):
            setattr(_thread, name, _unless_inside(getattr(_thread, name), _refuse("_thread")))


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError(unsupported(f"{what} in a Python body").message)

    return refuse


def _unless_inside(usual: Callable[..., Any], inside: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments, **options: (inside if _running.access else usual)(*arguments, **options)


def _refusal() -> socket.gaierror:
    """What a body gets in Snowflake for a host that no rule names."""
    return socket.gaierror(16, "Device or resource busy")


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    access = _running.access
    if access is None:
        return _resolve(host, port, *arguments, **options)
    name = (host.decode() if isinstance(host, bytes) else str(host)).lower()
    if not access.allows(name, _number(port)):
        raise _refusal()
    with only(None):
        found = _resolve(*_standing_in(name, port), *arguments, **options)
    access.addresses.update((str(address[0]), int(address[1])) for *_, address in found)
    return found


def _number(port: Any) -> int:
    """A port that may be the name of a service, `https`."""
    return int(port or 0) if str(port or 0).isdigit() else socket.getservbyname(str(port))


def _standing_in(host: str, port: Any) -> tuple[str, Any]:
    """Where the socket goes: to the AWS stand-in for an API of API Gateway. The name on the certificate stays."""
    endpoint = urllib.parse.urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.hostname and _API.fullmatch(host):
        return endpoint.hostname, endpoint.port
    return host, port


def _secrets_module() -> ModuleType:
    """The module `_snowflake` that bodies import."""
    module: Any = ModuleType("_snowflake")

    def secret(name: str, *kinds: str) -> Record:
        access = _running.access or Access()
        if access.is_thread:
            raise RuntimeError("Secrets can only be accessed from the main thread.")
        if name not in access.secrets:
            raise ValueError(f"Secret '{name}' does not exist or not authorized: SECRETS must name it.")
        found = access.secrets[name]
        if kinds and found["TYPE"] not in kinds:
            raise ValueError(f"Secret '{name}' is of TYPE = {found['TYPE']}, not {' or '.join(kinds)}.")
        return found

    class UsernamePassword:
        def __init__(self, record: Record) -> None:
            self.username, self.password = record["USERNAME"], record["PASSWORD"]

    def missing(name: str) -> Any:
        raise AttributeError(unsupported(f"_snowflake.{name}").message)

    module.get_generic_secret_string = lambda name: secret(name, "GENERIC_STRING")["SECRET_STRING"]
    module.get_username_password = lambda name: UsernamePassword(secret(name, "PASSWORD"))
    module.get_secret_type = lambda name: secret(name)["TYPE"]
    module.__getattr__ = missing
    return module  # type: ignore[no-any-return]
