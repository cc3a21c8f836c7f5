"""Replacing ministack's internals one function at a time, and stopping the start when one is not as expected."""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

VERSION = "1.5.33"

Replacement = Callable[..., Any]


class IncompatibleMinistack(RuntimeError):
    """ministack is not the version that the additions were written for, or lacks an internal that they change."""


def check_version() -> None:
    """Raise IncompatibleMinistack unless the installed ministack is the pinned one."""
    installed = importlib.metadata.version("ministack")
    if installed != VERSION:
        raise IncompatibleMinistack(
            f"ministack {installed} is installed, local/cloud/additions is written for {VERSION}: "
            "install local/cloud/requirements.txt, or read every addition against the new version"
        )


def replaces(owner: Any, name: str, parameters: str) -> Callable[[Replacement], Replacement]:
    """Put the decorated function in the place of the function `owner.name`, whose original it gets as first argument.

    Modules that imported the original by name get the replacement too. Arguments: `parameters` are the names that the
    original must have, separated by blanks.
    """
    original = getattr(owner, name, None)
    where = f"{owner.__name__}.{name}"
    _check(where, original, parameters)

    def put(replacement: Replacement) -> Replacement:
        bound = partial(replacement, original)
        for module_name, module in list(sys.modules.items()):
            if module_name.startswith("ministack") and getattr(module, name, None) is original:
                setattr(module, name, bound)
        setattr(owner, name, bound)
        return replacement

    return put


def replaces_entry(
    table: MutableMapping[str, Any], key: str, parameters: str, where: str
) -> Callable[[Replacement], Replacement]:
    """The same for a function that ministack finds in a table of handlers; `where` names the table in errors."""
    original = table.get(key)
    _check(f"{where}[{key!r}]", original, parameters)

    def put(replacement: Replacement) -> Replacement:
        table[key] = partial(replacement, original)
        return replacement

    return put


def require(owner: Any, *names: str) -> None:
    """Raise IncompatibleMinistack unless the module has all these attributes, which an addition reads or sets."""
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise IncompatibleMinistack(f"ministack {VERSION}: {owner.__name__} has no {', '.join(missing)}")


def _check(where: str, original: Any, parameters: str) -> None:
    if not callable(original):
        raise IncompatibleMinistack(f"ministack {VERSION}: {where} is missing")
    found = " ".join(inspect.signature(original).parameters)
    if found != parameters:
        raise IncompatibleMinistack(
            f"ministack {VERSION}: {where} takes ({found}), the addition expects ({parameters})"
        )
