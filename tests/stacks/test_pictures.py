"""docs/pictures is drawn from the templates, and shows what they say now."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from assemblies import ENVIRONMENTS

from pictures import parts
from pictures.arrows import Arrows
from pictures.pages import drawn
from pictures.templates import Resource, Templates


@pytest.fixture(scope="module")
def pictures(assembly: Path) -> dict[str, str]:
    return drawn(assembly)


def said(svg: str) -> set[str]:
    return {unescape(text).strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)}


def test_the_pictures_in_docs_are_those_of_the_templates(root: Path, pictures: dict[str, str]) -> None:
    kept = {file.name: file.read_text() for file in (root / "docs" / "pictures").glob("*.svg")}
    stale = sorted(name for name in kept.keys() | pictures.keys() if kept.get(name) != pictures.get(name))
    assert not stale, f"{', '.join(stale)}: not what the templates say. `make pictures` draws them anew; look at them"


def test_every_picture_is_shown_on_a_page(root: Path, pictures: dict[str, str]) -> None:
    pages = "".join(page.read_text() for page in (root / "docs").glob("*.md"))
    assert [name for name in pictures if f"(pictures/{name})" not in pages] == []


def test_every_type_of_resource_is_shown_or_folded_away_with_a_reason(assembly: Path) -> None:
    for environment in ENVIRONMENTS:
        templates = Templates(assembly, environment)
        for resource in templates.all():
            parts.is_shown(resource, templates)
    assert all(parts.FOLDED.values())


def test_a_picture_is_small_enough_to_read(pictures: dict[str, str]) -> None:
    for name, svg in pictures.items():
        boxes = len(re.findall(r'class="node ', svg))
        assert 3 <= boxes <= 16, (name, boxes)
        assert 'viewBox="' in svg, name


def test_an_arrow_goes_with_the_right_that_allows_it(assembly: Path, tmp_path: Path) -> None:
    other = tmp_path / "assembly"
    shutil.copytree(assembly / "assembly-prod", other / "assembly-prod")
    [file] = (other / "assembly-prod").glob("prodReportService*.template.json")
    template = json.loads(file.read_text())
    [policy] = [name for name in template["Resources"] if name.startswith("WorkerWakerLambdaRoleDefaultPolicy")]
    del template["Resources"][policy]
    file.write_text(json.dumps(template))

    def raises_the_count(folder: Path) -> list[str]:
        found = Arrows(Templates(folder, "prod")).found
        raising = [arrow.source for arrow in found if arrow.label == "desired count"]
        return [parts.title(box) for box in raising if isinstance(box, Resource)]

    assert raises_the_count(assembly) == ["Worker waker"]
    assert raises_the_count(other) == []


def test_a_type_that_no_picture_knows_is_refused(assembly: Path, tmp_path: Path) -> None:
    other = tmp_path / "assembly"
    shutil.copytree(assembly / "assembly-dev", other / "assembly-dev")
    [file] = (other / "assembly-dev").glob("devImage*.template.json")
    template = json.loads(file.read_text())
    template["Resources"]["Mesh"] = {"Type": "AWS::AppMesh::Mesh"}
    file.write_text(json.dumps(template))
    templates = Templates(other, "dev")
    [mesh] = templates.all("AWS::AppMesh::Mesh")
    with pytest.raises(ValueError, match=r"Image\.Mesh is of type AWS::AppMesh::Mesh.*pictures/parts\.py"):
        parts.is_shown(mesh, templates)


def test_the_pictures_name_what_a_reader_looks_for(pictures: dict[str, str]) -> None:
    wanted = {"prod-ReportService", "Worker", "Worker waker", "Reports", "Snowflake", "POST /trigger", "desired count"}
    assert wanted <= said(pictures["report-service.svg"])
    assert "Web API" not in said(pictures["report-service-dev.svg"]), "dev has no web role"
    assert "NAT gateways" not in said(pictures["network-dev.svg"])


def test_a_subnet_is_public_by_its_route_and_not_by_the_addresses_it_gives(pictures: dict[str, str]) -> None:
    assert "2 public subnets: 10.21.0.0/17, 10.21.128.0/17" in said(pictures["network-dev.svg"])
    assert "2 public subnets: 10.20.0.0/18, 10.20.64.0/18" in said(pictures["network.svg"])
    assert "2 private subnets: 10.20.128.0/18, 10.20.192.0/18" in said(pictures["network.svg"])
