"""From boxes and arrows to SVG: Graphviz places them, a style sheet colours them in light and dark."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

LAYOUT = Path(__file__).parent / "layout.mjs"

# class: (fill, line) in light, then in dark
_COLOURS = {
    "compute": ("#fff7ed", "#c2410c", "#3b2314", "#fb923c"),
    "data": ("#f0fdf4", "#15803d", "#14301f", "#4ade80"),
    "door": ("#f5f3ff", "#6d28d9", "#2a2142", "#a78bfa"),
    "time": ("#fdf2f8", "#be185d", "#3a1a2b", "#f472b6"),
    "secret": ("#fefce8", "#a16207", "#33290d", "#facc15"),
    "deploy": ("#f8fafc", "#475569", "#212a36", "#94a3b8"),
    "alarm": ("#fef2f2", "#b91c1c", "#3c1a1a", "#f87171"),
    "outside": ("#eff6ff", "#1d4ed8", "#172945", "#60a5fa"),
}


def _style() -> str:
    def rules(dark: bool) -> str:
        page, ink, quiet, group, edge = (
            ("#0d1117", "#e6edf3", "#9ea7b3", "#161b22", "#8b949e")
            if dark
            else ("#ffffff", "#0f172a", "#475569", "#f8fafc", "#64748b")
        )
        boxes = "".join(
            f".{name} path,.{name} polygon{{fill:{colours[2 if dark else 0]};stroke:{colours[3 if dark else 1]}}}"
            for name, colours in _COLOURS.items()
        )
        return (
            f".page{{fill:{page}}}text{{fill:{ink}}}.quiet text,text[font-size='12.00']{{fill:{quiet}}}"
            f".cluster path,.cluster polygon{{fill:{group};stroke:{edge}}}{boxes}"
            f".edge path{{stroke:{edge};fill:none}}.edge polygon{{stroke:{edge};fill:{edge}}}"
            f".label text{{fill:{ink};stroke:{group};stroke-width:4px;stroke-linejoin:round;paint-order:stroke}}"
        )

    return f"<style>{rules(False)}@media (prefers-color-scheme:dark){{{rules(True)}}}</style>"


@dataclass
class Node:
    """A box: a bold title and lines below it; `kind` names its colour."""

    key: str
    title: str
    lines: list[str]
    kind: str


@dataclass
class Picture:
    """Boxes in groups (a group's title: its boxes; "" is outside of all), and arrows with labels."""

    name: str
    title: str
    groups: dict[str, list[Node]]
    arrows: list[tuple[str, str, str]]
    nested: dict[str, str] = field(default_factory=dict)
    """A group's title: the title of the group around it."""

    def dot(self) -> str:
        """The picture in DOT."""
        lines = [
            'digraph { nodesep=0.3; ranksep=0.5; fontname="Helvetica"; bgcolor="transparent"; outputorder=edgesfirst;'
            ' node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=14, margin="0.12,0.08"];'
            ' edge [fontname="Helvetica", fontsize=12, arrowsize=0.7, penwidth=1.3];'
        ]
        inside: dict[str, list[str]] = {}
        for title, around in self.nested.items():
            inside.setdefault(around, []).append(title)
        for group in self.groups:
            if group not in self.nested:
                lines.extend(self._group(group, inside))
        # What both acts and is acted upon from outside stands above: the arrows back to it do not push it down.
        acting = {source for source, _, _ in self.arrows} & {
            node.key for node in self.groups.get("", []) if node.kind == "outside"
        }
        for source, target, label in self.arrows:
            back = ", constraint=false" if target in acting else ""
            lines.append(f'"{source}" -> "{target}" [label=<&#160;{escape(label)}>{back}];')
        return "\n".join([*lines, "}"])

    def _group(self, title: str, inside: dict[str, list[str]]) -> Iterable[str]:
        if title:
            yield (
                f'subgraph "cluster {title}" {{ label=<<B>{escape(title)}</B>>; labeljust=l; style=rounded; margin=14;'
                " fontsize=14;"
            )
        for node in self.groups[title]:
            small = "".join(f'<BR/><FONT POINT-SIZE="12">{escape(line)}</FONT>' for line in node.lines)
            yield f'"{node.key}" [class="{node.kind}", label=<<B>{escape(node.title)}</B>{small}>];'
        for other in inside.get(title, []):
            yield from self._group(other, inside)
        if title:
            yield "}"


def draw(pictures: list[Picture]) -> dict[str, str]:
    """Each picture's SVG by its name; CalledProcessError if Graphviz refuses one."""
    graphs = json.dumps([picture.dot() for picture in pictures])
    ran = subprocess.run(["node", str(LAYOUT)], input=graphs, capture_output=True, text=True, check=True)
    return {
        picture.name: _finished(picture, svg) for picture, svg in zip(pictures, json.loads(ran.stdout), strict=True)
    }


def _finished(picture: Picture, svg: str) -> str:
    """Graphviz's SVG with a title for readers that cannot see it, a page below it, and colours for light and dark."""
    body = re.sub(r"<!--.*?-->\n?", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r"<title>.*?</title>\n?", "", body, flags=re.DOTALL)  # Graphviz's are keys, which a browser shows
    body = _labels_last(body)
    body = re.sub(r' fill="[^"]*"| stroke="[^"]*"', "", body)
    body = re.sub(r'font-family="[^"]*"', 'font-family="Helvetica, Arial, sans-serif"', body)
    head, rest = body.split(">", 1)
    head = re.sub(r'(width|height)="(\d+)pt"', r'\1="\2"', head).replace("<svg", '<svg role="img"', 1)
    page = '<rect class="page" width="100%" height="100%" rx="8"/>'
    return f"{head}>\n<title>{escape(picture.title)}</title>\n{_style()}\n{page}{rest.rstrip()}\n"


def _labels_last(svg: str) -> str:
    """The labels of groups and arrows above all else, so that no line crosses one."""
    labels: list[str] = []

    def without(group: re.Match[str]) -> str:
        texts = re.findall(r"<text.*?</text>\n?", group[0], flags=re.DOTALL)
        labels.extend(texts)
        return re.sub(r"<text.*?</text>\n?", "", group[0], flags=re.DOTALL)

    body = re.sub(r'<g id="[^"]*" class="(?:cluster|edge)">.*?</g>', without, svg, flags=re.DOTALL)
    end = body.rindex("</g>")
    return f'{body[:end]}<g class="label">\n{"".join(labels)}</g>\n{body[end:]}'
