"""The OpenAPI 3.1 document of the control API, made from the table that is served."""

import re
from typing import Any

import msgspec

from node.control.endpoint import Endpoint, Form
from node.control.failures import ErrorAnswer
from node.control.routes import ENDPOINTS
from node.rows import Page

REFS = "#/components/schemas/{name}"
NDJSON = "application/x-ndjson"


def document(version: str) -> dict[str, Any]:
    """The document, as JSON values.

    Args:
        version: of the daemon that serves it.
    """
    kinds = _kinds()
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFS)
    schema_of = dict(zip((str(kind) for kind in kinds), schemas, strict=True))
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        operations = paths.setdefault(endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pinakothek control API",
            "version": version,
            "description": "Served on <data-dir>/control.sock, to the daemon's own user: "
            "`curl --unix-socket control.sock http://localhost/v1/status`.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _kinds() -> list[Any]:
    kinds: list[Any] = [ErrorAnswer]
    for endpoint in ENDPOINTS:
        for kind in (endpoint.answer, endpoint.query, endpoint.body, _page(endpoint)):
            if kind is not None and kind not in kinds:
                kinds.append(kind)
    return kinds


def _page(endpoint: Endpoint) -> Any:
    return Page[endpoint.answer] if endpoint.form is Form.LISTING else None  # type: ignore[name-defined]


def _operation(endpoint: Endpoint, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint, schema_of, components),
        "responses": {
            "200": {"description": "done", "content": _content(endpoint, schema_of)},
            "default": {
                "description": "failed; `exit_code` is the command line's",
                "content": {"application/json": {"schema": schema_of[str(ErrorAnswer)]}},
            },
        },
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": schema_of[str(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.upload:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return operation


def _parameters(endpoint: Endpoint, schema_of: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    query = components[schema_of[str(endpoint.query)]["$ref"].rpartition("/")[2]]
    in_query = [
        {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
        for name, schema in query.get("properties", {}).items()
    ]
    return in_path + in_query


def _content(endpoint: Endpoint, schema_of: dict[str, Any]) -> dict[str, Any]:
    match endpoint.form:
        case Form.OBJECT:
            return {"application/json": {"schema": schema_of[str(endpoint.answer)]}}
        case Form.LISTING:
            return {
                "application/json": {"schema": schema_of[str(_page(endpoint))]},
                NDJSON: {"schema": schema_of[str(endpoint.answer)]},
            }
        case Form.EVENTS:
            return {"text/event-stream": {"schema": schema_of[str(endpoint.answer)]}}
        case Form.BYTES:
            return {"application/vnd.ipld.raw": {}}
        case Form.TEXT:
            return {"text/plain": {"schema": {"type": "string"}}}
        case Form.CONTENT:
            return {"*/*": {}}
