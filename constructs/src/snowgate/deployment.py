"""How a new version of a service takes over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs

from snowgate.asked_once import hours, minutes

# "CanaryConfiguration" and "LinearConfiguration" in the Amazon ECS API Reference: the least and most percent of a step.
_STEPS = {ecs.DeploymentStrategy.CANARY: (0.1, 100), ecs.DeploymentStrategy.LINEAR: (3, 100)}
_MOST_BAKE = hours(24)


@dataclass(frozen=True)
class Deployment:
    """A deployment strategy of Amazon ECS; each goes back by itself when tasks fail or an alarm goes off.

    ROLLING replaces task by task. BLUE_GREEN starts all new tasks beside the old ones, moves the requests at once, and
    keeps the old ones for ``bake_time``. CANARY moves ``step_percent`` of the requests first and the others after
    ``step_bake_time``; LINEAR moves ``step_percent`` at a time, ``step_bake_time`` apart. The four named ones have 10 %
    (CANARY) or 20 % (LINEAR) and five minutes each; ``dataclasses.replace`` changes one.

    Raises:
        ValueError: a step for a strategy without steps or none for one with; percent or time out of range.
    """

    strategy: ecs.DeploymentStrategy
    bake_time: cdk.Duration | None = None
    step_percent: float | None = None
    step_bake_time: cdk.Duration | None = None

    ROLLING: ClassVar[Deployment]
    BLUE_GREEN: ClassVar[Deployment]
    CANARY: ClassVar[Deployment]
    LINEAR: ClassVar[Deployment]

    def __post_init__(self) -> None:
        """Refuse what ECS does not take."""
        name, steps = self.strategy.name, _STEPS.get(self.strategy)
        stepped = self.step_percent is not None and self.step_bake_time is not None
        if steps is None and (self.step_percent is not None or self.step_bake_time is not None):
            raise ValueError(f"A {name} deployment has no steps: leave step_percent and step_bake_time out.")
        if steps is not None and not stepped:
            raise ValueError(f"A {name} deployment needs step_percent and step_bake_time.")
        if steps is not None and self.step_percent is not None and not steps[0] <= self.step_percent <= steps[1]:
            nearest = min(steps, key=lambda allowed: abs(allowed - (self.step_percent or 0)))
            raise ValueError(
                f"step_percent of a {name} deployment is {self.step_percent:g}; allowed is {steps[0]:g} to "
                f"{steps[1]:g}, nearest is {nearest:g}."
            )
        for argument in ("bake_time", "step_bake_time"):
            time = getattr(self, argument)
            if time is not None and time.to_seconds() > _MOST_BAKE.to_seconds():
                raise ValueError(f"{argument} is {time.to_human_string()}; the most is 24 hours.")
        if self.bake_time is not None and not self.shifts_traffic:
            raise ValueError("A ROLLING deployment keeps no old tasks: leave bake_time out.")

    @property
    def shifts_traffic(self) -> bool:
        """Whether old and new tasks have target groups of their own, between which requests are moved."""
        return self.strategy is not ecs.DeploymentStrategy.ROLLING

    @property
    def shift(self) -> ecs.TrafficShiftConfig | None:
        """The steps, for the service's ``canary_configuration`` or ``linear_configuration``."""
        if self.step_percent is None:
            return None
        return ecs.TrafficShiftConfig(step_percent=self.step_percent, step_bake_time=self.step_bake_time)


_FIVE = minutes(5)
Deployment.ROLLING = Deployment(ecs.DeploymentStrategy.ROLLING)
Deployment.BLUE_GREEN = Deployment(ecs.DeploymentStrategy.BLUE_GREEN, bake_time=_FIVE)
Deployment.CANARY = Deployment(ecs.DeploymentStrategy.CANARY, bake_time=_FIVE, step_percent=10, step_bake_time=_FIVE)
Deployment.LINEAR = Deployment(ecs.DeploymentStrategy.LINEAR, bake_time=_FIVE, step_percent=20, step_bake_time=_FIVE)
