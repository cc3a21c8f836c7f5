"""CloudFormation's ContinueUpdateRollback, as the CDK CLI calls it."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.patching import replaces_entry


def apply() -> None:
    """An empty list of ResourcesToSkip is one empty text on the wire; ministack takes it for a resource's name."""
    from ministack.services.cloudformation import handlers

    @replaces_entry(handlers._ACTION_HANDLERS, "ContinueUpdateRollback", "params", "handlers._ACTION_HANDLERS")
    def continue_update_rollback(original: Any, params: dict[str, Any]) -> Any:
        if params.get("ResourcesToSkip") in ("", [""]):
            params = {name: value for name, value in params.items() if name != "ResourcesToSkip"}
        return original(params)
