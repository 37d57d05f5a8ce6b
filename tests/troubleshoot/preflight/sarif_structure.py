"""The structure of SARIF 2.1.0 as far as it is used, after the schema that OASIS publishes: nothing else is allowed."""

from __future__ import annotations

from typing import Any


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string"}
_INDEX = {"type": "integer", "minimum": -1}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_MESSAGE = _object(["text"], text=_TEXT, markdown=_TEXT, id=_TEXT, arguments=_array(_TEXT))
_URI = {"type": "string", "format": "uri-reference", "pattern": r"^[^\s\\]*$"}
_ARTIFACT = _object([], uri=_URI, uriBaseId=_TEXT, index=_INDEX, description=_MESSAGE)
_REGION = _object([], startLine={"type": "integer", "minimum": 1}, endLine={"type": "integer", "minimum": 1})
_LOGICAL = _object([], name=_TEXT, fullyQualifiedName=_TEXT, decoratedName=_TEXT, kind=_TEXT, index=_INDEX)
_LOCATION = _object(
    [],
    physicalLocation=_object([], artifactLocation=_ARTIFACT, region=_REGION),
    logicalLocations=_array(_LOGICAL),
    message=_MESSAGE,
)
_RULE = _object(
    ["id"],
    id=_TEXT,
    name=_TEXT,
    shortDescription=_MESSAGE,
    fullDescription=_MESSAGE,
    help=_MESSAGE,
    defaultConfiguration=_object([], level=_LEVEL, enabled={"type": "boolean"}),
)
_RESULT = _object(
    ["message"],
    ruleId=_TEXT,
    ruleIndex=_INDEX,
    level=_LEVEL,
    message=_MESSAGE,
    locations=_array(_LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": _TEXT},
)
_NOTIFICATION = _object(
    ["message"],
    message=_MESSAGE,
    level=_LEVEL,
    associatedRule=_object([], id=_TEXT, index=_INDEX),
    descriptor=_object([], id=_TEXT),
)
_INVOCATION = _object(
    ["executionSuccessful"],
    executionSuccessful={"type": "boolean"},
    toolExecutionNotifications=_array(_NOTIFICATION),
)
_DRIVER = _object(
    ["name"], name=_TEXT, version=_TEXT, informationUri=_URI, rules={**_array(_RULE), "uniqueItems": True}
)
_RUN = _object(
    ["tool"],
    tool=_object(["driver"], driver=_DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds={"type": "object", "additionalProperties": _ARTIFACT},
    invocations=_array(_INVOCATION),
    results=_array(_RESULT),
)

SARIF: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    **_object(["version", "runs"], **{"$schema": _TEXT}, version={"const": "2.1.0"}, runs=_array(_RUN)),
}
