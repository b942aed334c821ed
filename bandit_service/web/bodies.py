"""Bodies in and out, for Flask and the hot path alike: one decoder, one error shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from bandit_service.errors import (
    BanditError,
    InvalidInput,
    NotAuthenticated,
    PayloadTooLarge,
    TooManyRequests,
)
from bandit_service.serving.requests import MAX_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Body = TypeVar("Body")

JSON: Final = "application/json"
MAX_DRAINED: Final = 16 * 1_048_576
"""How much of a body over the limit is read before the connection is given up, in bytes."""
_encoder: Final = msgspec.json.Encoder()


def decoded(data: bytes, decoder: msgspec.json.Decoder[Body]) -> Body:
    """A request's body.

    Raises:
        PayloadTooLarge: if it is longer than MAX_BODY.
        InvalidInput: if it is not JSON, or not of the type.
    """
    if len(data) > MAX_BODY:
        raise too_large()
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as exc:
        message, _, path = str(exc).partition(" - at ")
        raise InvalidInput(
            message,
            field=path.strip("`").removeprefix("$").lstrip(".") or None,
            hint="the fields and their types are in /openapi.json",
        ) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(
            f"the body is not JSON: {exc}", hint="send one JSON object, in UTF-8"
        ) from exc


def read_body(environ: WSGIEnvironment, limit: int) -> bytes:
    """The body of a WSGI request, of at most ``limit`` bytes.

    A longer one is read too and dropped, up to MAX_DRAINED: a client that is still sending when the
    connection closes never sees the answer.

    Raises:
        PayloadTooLarge: if it is longer.
        InvalidInput: if its declared length is no number.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    stream: Any = environ["wsgi.input"]
    if not declared:
        # Without a declared length WSGI servers end the stream at the end of the body.
        data: bytes = stream.read(limit + 1)
        if len(data) > limit:
            _drain(stream)
            raise too_large(limit)
        return data
    try:
        length = int(declared)
    except ValueError as exc:
        raise InvalidInput("Content-Length is not a number", field="Content-Length") from exc
    if length > limit:
        _drain(stream)
        raise too_large(limit)
    body: bytes = stream.read(length)
    return body


def _drain(stream: Any) -> None:
    """Read and drop what is left, up to MAX_DRAINED bytes."""
    left = MAX_DRAINED
    while left > 0 and (dropped := stream.read(min(left, 65_536))):
        left -= len(dropped)


def encoded(body: object) -> bytes:
    """An answer's body."""
    return _encoder.encode(body)


def error_body(error: BanditError) -> bytes:
    """The body of an error."""
    return _encoder.encode({"error": error.as_dict()})


def error_headers(error: BanditError) -> dict[str, str]:
    """The headers that tell a client what to do about an error, beside its body."""
    if isinstance(error, NotAuthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    return {}


def too_large(limit: int = MAX_BODY) -> PayloadTooLarge:
    """The error for a body over the limit, in bytes."""
    return PayloadTooLarge("the body is too large", hint=f"send at most {limit} bytes")
