"""Makes the OpenAPI document say what FastAPI cannot know: the reports of the catalogue, and how errors look."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from report_service.catalogue import Catalogue, OutputFormat, Report
from report_service.parameters import Parameter
from report_service.recipients import DESTINATION, MAX_RECIPIENTS, RecipientRules
from report_service.web.problems import MEDIA_TYPE

Schema = dict[str, Any]
_WHOLE = 10**18 - 1  # the largest whole number that a parameter takes


def document(app: FastAPI, catalogue: Catalogue, rules: RecipientRules) -> None:
    """Have `app` serve its OpenAPI document with one schema of POST /process-job for each report."""
    generate = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            _make_exact(generate(), catalogue, rules)  # FastAPI keeps what it generates
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it: "Extending OpenAPI"


def _make_exact(found: Schema, catalogue: Catalogue, rules: RecipientRules) -> None:
    for path in found["paths"].values():
        for operation in path.values():
            _name_media_type(operation["responses"])
    schemas = found["components"]["schemas"]
    schemas["Recipients"] = _recipients(rules)
    _name_reports(schemas, catalogue)


def _name_media_type(responses: Schema) -> None:
    """FastAPI knows one media type a route, that of its good answers."""
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _name_reports(schemas: Schema, catalogue: Mapping[str, Report]) -> None:
    """Put one request for each report in the place of the one for any: its names, its parameters, its formats."""
    general = schemas.pop("JobRequest")
    names = {}
    for report in catalogue.values():
        names[report.name] = "".join(word.capitalize() for word in report.name.split("_")) + "Request"
        data = _input_data(report)
        needed = ["job_id", "job_type", *(["input_data"] if data["required"] else [])]
        own = {"job_type": {"enum": [report.name.upper(), report.name]}, "input_data": data}
        schemas[names[report.name]] = general | {
            "title": report.definition.title,
            "description": report.definition.description,
            "properties": general["properties"] | own,
            "required": needed,
        }
    schemas["JobRequest"] = {
        "description": general["description"],
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names.values()],
    }


def _input_data(report: Report) -> Schema:
    parameters = report.definition.parameters
    properties = {parameter.name: _parameter(parameter) for parameter in parameters}
    formats = list(report.definition.formats)
    makes_pdf = OutputFormat.PDF in formats
    properties["format"] = _optional({"enum": formats}, "PDF") if makes_pdf else {"enum": formats}
    properties["recipients"] = _optional({"$ref": "#/components/schemas/Recipients"}, None)
    needed = [parameter.name for parameter in parameters if parameter.default is None]
    return {
        "type": "object",
        "description": "The report's parameters; format and recipients beside them. Names count in any case.",
        "properties": properties,
        "required": needed if makes_pdf else [*needed, "format"],
        "additionalProperties": False,
    }


def _parameter(parameter: Parameter) -> Schema:
    described = {"title": parameter.title, "description": _described(parameter)}
    if parameter.default is None:
        return _value(parameter) | described
    default = str(parameter.default) if parameter.type == "date" else parameter.default
    return _optional(_value(parameter), default) | described


def _value(parameter: Parameter) -> Schema:
    match parameter.type:
        case "date":
            return {"type": "string", "format": "date"} | _years(parameter)
        case "choice":
            return {"enum": list(parameter.choices)}
        case "string":
            return {"type": "string", "maxLength": parameter.max_length, "pattern": r"^[^\u0000]*$"}
        case "boolean":
            return {"type": "boolean"}
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    widest = {"minimum": -_WHOLE, "maximum": _WHOLE} if parameter.type == "integer" else {}
    return {"type": parameter.type} | widest | given


def _years(parameter: Parameter) -> Schema:
    """JSON Schema has no bounds for dates, but patterns for the years between them."""
    low, high = parameter.minimum, parameter.maximum
    if not isinstance(low, datetime.date) or not isinstance(high, datetime.date):
        return {}
    years = "|".join(f"{year:04}" for year in range(low.year, high.year + 1))
    return {"pattern": f"^({years})-[0-9]{{2}}-[0-9]{{2}}$", "examples": [str(low), str(high)]}


def _described(parameter: Parameter) -> str:
    """What no JSON schema can say of dates, in words."""
    allowed = parameter.allowed()
    order = f", not later than {parameter.not_after}" if parameter.not_after else ""
    return f"{allowed[:1].upper()}{allowed[1:]}{order}."


def _optional(schema: Schema, default: Any) -> Schema:
    """What may also be null, as if it were not there."""
    return {"anyOf": [schema, {"type": "null"}], "default": default}


def _recipients(rules: RecipientRules) -> Schema:
    places: Schema = {"email": {"type": "string", "format": "email"}}
    if rules.topics:
        names = dict.fromkeys(topic.rpartition(":")[2] for topic in rules.topics)
        places["sns"] = {"enum": list(names)}  # no ARNs: anybody may read this document
    if rules.destinations:
        places["apprise"] = {"type": "string", "pattern": f"^{DESTINATION}$"}
    return {
        "type": "array",
        "description": "Who gets the report.",
        "maxItems": MAX_RECIPIENTS,
        "items": {"oneOf": [_recipient(channel, place) for channel, place in places.items()]},
    }


def _recipient(channel: str, place: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"channel": {"enum": [channel]}, "to": place},
        "required": ["channel", "to"],
        "additionalProperties": False,
    }
