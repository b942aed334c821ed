"""``/openapi.json``: OpenAPI 3.1, made from the table of routes and the types it names."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bandit_service.web.routes import ROUTES, ErrorAnswer, Route

_REF: Final = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """The description of the whole API."""
    types = [kind for route in ROUTES for kind in (route.takes, route.gives) if kind]
    named = [kind for kind in (*types, ErrorAnswer) if kind is not dict]
    schemas, components = msgspec.json.schema_components(named, ref_template=_REF)
    schema_of: dict[Any, Any] = dict(zip(named, schemas, strict=True))
    schema_of[dict] = {"type": "object"}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bandit-service",
            "version": "1",
            "description": "Picks the thumbnail or headline that a visitor's persona responds to.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "parameters": _parameters(route),
        "responses": _responses(route, schema_of),
        "security": [{"key": []}] if route.role else [],
    }
    if route.role:
        operation["description"] = f"Needs a key with the role `{route.role}` or higher."
    if route.takes:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[route.takes]}},
        }
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^a-z]+", "_", route.path.lower()).strip("_")
    return f"{route.method.lower()}_{words.removeprefix('v_')}"


def _parameters(route: Route) -> list[dict[str, Any]]:
    text = {"type": "string"}
    found = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.conditional:
        found += [
            {"name": name, "in": "header", "required": False, "schema": text}
            for name in ("If-Match", "If-None-Match")
        ]
    return found


def _responses(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.gives:
        success["content"] = {"application/json": {"schema": schema_of[route.gives]}}
    elif route.status != HTTPStatus.NO_CONTENT:
        success["content"] = {"text/plain": {"schema": {"type": "string"}}}
    errors: dict[str, dict[str, Any]] = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": schema_of[ErrorAnswer]}},
        }
        for status in sorted(set(route.errors))
    }
    if "429" in errors:
        seconds = {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}
        errors["429"]["headers"] = {"Retry-After": seconds}
    return {str(route.status): success, **errors}
