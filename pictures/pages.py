"""Which pictures there are, and what each shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pictures import network, parts
from pictures.arrows import Arrow, Arrows, Box, Outside
from pictures.drawing import Node, Picture, draw
from pictures.templates import Resource, Templates


@dataclass(frozen=True)
class System:
    """A picture of some stacks: their boxes, with the arrows among them and to whatever they touch."""

    name: str
    title: str
    stacks: tuple[str, ...]
    deploying: bool = False
    """Draws what happens in a deploy and at a rotation, instead of what happens in between."""


SYSTEMS = (
    System("report-service", "The report service", ("ReportService", "Trigger")),
    System("snowflake-side", "How the Snowflake side is deployed", ("Secrets", "Snowflake"), deploying=True),
    System("weather-warehouse", "The weather warehouse", ("WeatherWarehouse",)),
    System("conflict-updater", "The conflict updater", ("ConflictUpdater",)),
    System("matillion-agent", "The Matillion agent", ("MatillionAgent",)),
)


def drawn(assembly: Path) -> dict[str, str]:
    """Every picture's SVG, by its file's name, from an assembly with the environments prod and dev."""
    prod, dev = Templates(assembly, "prod"), Templates(assembly, "dev")
    arrows = Arrows(prod)
    pictures = [system_picture(system, prod, arrows) for system in SYSTEMS]
    small = System("report-service-dev", "The report service in dev", SYSTEMS[0].stacks)
    pictures += [
        system_picture(small, dev, Arrows(dev)),
        network.picture("network", prod, arrows),
        network.picture("network-dev", dev, Arrows(dev)),
        stacks_picture(prod),
    ]
    return {f"{name}.svg": svg for name, svg in draw(pictures).items()}


def system_picture(system: System, templates: Templates, arrows: Arrows) -> Picture:
    """The boxes of the system's stacks, and of others that they touch, each in its stack's group."""
    found = [arrow for arrow in arrows.found if _is_drawn(arrow, system)]
    # The templates' order, and then what stands outside. A box without an arrow says nothing here.
    touched = {box for arrow in found for box in (arrow.source, arrow.target)}
    boxes: list[Box] = [resource for resource in templates.all() if resource in touched]
    boxes += sorted((box for box in touched if isinstance(box, Outside)), key=_key)
    groups: dict[str, list[Node]] = {}
    for box in boxes:
        groups.setdefault(_group(box, templates), []).append(_node(box, templates))
    if not system.deploying:
        for stack in system.stacks:
            groups[f"{templates.environment}-{stack}"].extend(_alarms(stack, templates))
    lines = [(_key(arrow.source), _key(arrow.target), arrow.label) for arrow in found]
    return Picture(system.name, system.title, groups, _merged(lines))


def stacks_picture(templates: Templates) -> Picture:
    """The stacks of an environment, each with how many resources it has, and which one needs which."""
    counts = {name: len(templates.all(stack=name)) for name in templates.dependencies}
    nodes = [Node(name, name, [f"{n} resource{'s' * (n != 1)}"], "deploy") for name, n in counts.items()]
    arrows = [(name, needed, "") for name, others in templates.dependencies.items() for needed in others]
    return Picture("stacks", "The stacks of an environment, and which one needs which", {"": nodes}, arrows)


def _alarms(stack: str, templates: Templates) -> list[Node]:
    alarms = templates.all("AWS::CloudWatch::Alarm", stack=stack)
    topics = {topic for alarm in alarms for topic in templates.references(alarm.properties["AlarmActions"], stack)}
    told = [f"tell the topic of {templates.environment}-{topic.stack}" for topic in topics]
    return [Node(f"{stack} alarms", f"{len(alarms)} alarms", ["CloudWatch", *told], "alarm")] if alarms else []


def _is_drawn(arrow: Arrow, system: System) -> bool:
    ends = [box for box in (arrow.source, arrow.target) if isinstance(box, Resource)]
    deployer = any(box.type == "AWS::Lambda::Function" and box.stack == "Secrets" for box in ends)
    deploys = deployer or any(box.type.startswith("Custom::") for box in ends)
    return deploys == system.deploying and any(box.stack in system.stacks for box in ends)


def _merged(arrows: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """One arrow between two boxes, with all that is said of it."""
    labels: dict[tuple[str, str], list[str]] = {}
    for source, target, label in arrows:
        labels.setdefault((source, target), []).append(label)
    return [(source, target, ", ".join(dict.fromkeys(said))) for (source, target), said in labels.items()]


def _group(box: Box, templates: Templates) -> str:
    return "" if isinstance(box, Outside) else f"{templates.environment}-{box.stack}"


def _key(box: Box) -> str:
    return box.title if isinstance(box, Outside) else f"{box.stack}.{box.name}"


def _node(box: Box, templates: Templates) -> Node:
    if isinstance(box, Outside):
        return Node(_key(box), box.title, [box.detail], "outside")
    if box.type == "AWS::IAM::Role":  # of EventBridge Scheduler
        name = parts.title(box).removesuffix(" role")
        return Node(_key(box), name, ["EventBridge schedule", "made while it is needed"], "time")
    return Node(_key(box), parts.title(box), parts.details(box, templates), parts.SHOWN[box.type][1])
