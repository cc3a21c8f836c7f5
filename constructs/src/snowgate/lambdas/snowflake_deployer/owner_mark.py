"""The mark that says which stack an object of the whole account belongs to, so that none takes another's."""

from __future__ import annotations

from .request import Request

_START = "Managed by CloudFormation stack "


class ForeignObject(RuntimeError):
    """An object with this name is there and is not this stack's."""


def mark(request: Request) -> str:
    """The COMMENT of what a stack manages: its name, account and region."""
    _, _, _, region, account, *_ = [*request.stack_id.split(":"), *[""] * 6]
    return f"{_START}{request.stack} in {account}/{region}"


def check(request: Request, kind: str, name: str, comment: str) -> None:
    """Let a resource go on with an object that is there.

    It may be changed if it bears the stack's mark, or if the resource has managed it before: then its physical id is
    the name.

    Raises:
        ForeignObject: it is somebody else's. Nothing has been changed.
    """
    managed = request.kind != "Create" and request.physical_id.upper() == name.upper()
    if managed or comment == mark(request):
        return
    owner = comment.removeprefix(_START) if comment.startswith(_START) else None
    whose = f"stack {owner} manages it" if owner else f"it has the comment {comment!r}, which is no stack's mark"
    raise ForeignObject(
        f"{kind.capitalize()} {name} is there already and {whose}. Give this one another name, or have its owner drop "
        "the other one first."
    )


def was_answered(request: Request) -> bool:
    """Is the physical id a name? After a Create that never answered, CloudFormation makes up one with hyphens."""
    return "-" not in request.physical_id


def is_deletable(request: Request, comment: str) -> bool:
    """May a Delete drop the object that bears this comment? Of a made-up id the mark alone tells whose it is."""
    return not is_foreign(request, comment) if was_answered(request) else comment == mark(request)


def is_foreign(request: Request, comment: str) -> bool:
    """Does the comment bear another stack's mark? One without any may be of an earlier release."""
    return comment.startswith(_START) and comment != mark(request)
