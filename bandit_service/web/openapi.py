"""``/openapi.json``: OpenAPI 3.1, made from the table of routes and the types it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bandit_service.serving.requests import ErrorAnswer
from bandit_service.web import examples
from bandit_service.web.links import LINKS, Link
from bandit_service.web.routes import (
    MENTIONED,
    PARAMETERS,
    ROUTES,
    TAGGED,
    Route,
)

_REF: Final = "#/components/schemas/{name}"
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"const": "Bearer"}},
    429: {"Retry-After": {"type": "integer", "minimum": 0}},
}
"""By status, the headers that its answers always have."""
_ETAG: Final = {"ETag": {"type": "string", "pattern": '^"[0-9a-f]{16}"$'}}
_LOCATION: Final = {"Location": {"type": "string", "pattern": "^https?://"}}
_WHEN: Final = {
    400: "The request cannot be read, or a field of it is wrong; `field` names it.",
    401: "No key came with the request, or one that is unknown or revoked.",
    403: "The role of the key does not reach this far.",
    404: "Nothing is there by that name.",
    409: "No variant that may be shown is left.",
    412: "The thing is not as `If-Match` or `If-None-Match` wants it: read it again.",
    413: "The body, or a list in it, is longer than allowed.",
    415: "The body is said to be something else than JSON.",
    422: "What was sent breaks a rule; `field` names where, `hint` how to mend it.",
    503: "The store does not answer. Nothing was changed; ask again.",
}
"""What errors mean. A method that a path does not take is a 405, which names in `Allow` what is."""


def document() -> dict[str, Any]:
    """The description of the whole API."""
    types = [kind for route in ROUTES for kind in (route.takes, route.gives) if kind]
    types += [ErrorAnswer, *MENTIONED, *PARAMETERS.values()]
    types += [kind for route in ROUTES for kind in route.queries.values()]
    named = [kind for kind in types if kind is not dict]
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
        "operationId": _operation_id(route.method, route.path),
        "parameters": _parameters(route, schema_of),
        "responses": _responses(route, schema_of),
        "security": [{"key": []}] if route.role else [],
    }
    if route.role:
        operation["description"] = f"Needs a key with the role `{route.role}` or higher."
    if route.takes:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": _body(route, schema_of)},
        }
    elif route.uploads:
        # Of bytes that are no text, OpenAPI 3.1 gives the media type alone.
        operation["requestBody"] = {"required": True, "content": {t: {} for t in route.uploads}}
    return operation


def _body(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    example = examples.BODIES.get(f"{route.method} {route.path}")
    return {"schema": schema_of[route.takes]} | ({} if example is None else {"example": example})


def _operation_id(method: str, path: str) -> str:
    words = re.sub(r"[^a-z]+", "_", path.lower()).strip("_")
    return f"{method.lower()}_{words.removeprefix('v_')}"


def _parameters(route: Route, schema_of: dict[Any, Any]) -> list[dict[str, Any]]:
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema_of[PARAMETERS[name]],
            "example": examples.PARAMETERS[name],
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    found += [
        {"name": name, "in": "query", "required": False, "schema": schema_of[kind]}
        for name, kind in route.queries.items()
    ]
    if route.conditional:
        found += [
            {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
            for name in ("If-Match", "If-None-Match")
        ]
    return found


def _responses(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    success = _response(route.status, HTTPStatus(route.status).phrase)
    if route.gives:
        success["content"] = {"application/json": {"schema": schema_of[route.gives]}}
    elif route.shows:
        text = {"schema": {"type": "string"}}
        success["content"] = {t: text if t.startswith("text/") else {} for t in route.shows}
    if route.gives in TAGGED:
        success["headers"] = _headers(_ETAG)
    if route.status == HTTPStatus.FOUND:
        success["headers"] = _headers(_LOCATION)
    if links := LINKS.get(f"{route.method} {route.path}"):
        success["links"] = {link.name: _link(link) for link in links}
    errors = {
        str(status): _response(status, _WHEN.get(status, HTTPStatus(status).phrase))
        | {"content": {"application/json": {"schema": schema_of[ErrorAnswer]}}}
        for status in sorted(set(route.errors))
    }
    return {str(route.status): success, **errors}


def _response(status: int, description: str) -> dict[str, Any]:
    headers = _HEADERS.get(status)
    return {"description": description} | ({"headers": _headers(headers)} if headers else {})


def _headers(schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"required": True, "schema": schema} for name, schema in schemas.items()}


def _link(link: Link) -> dict[str, Any]:
    method, path = link.to.split(" ")
    found: dict[str, Any] = {"operationId": _operation_id(method, path)}
    if link.parameters:
        found["parameters"] = dict(link.parameters)
    if link.body is not None:
        found["requestBody"] = link.body
    return found
