"""Bodies in and out, for Flask and the hot path alike: one decoder, one error shape."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from bandit_service.errors import (
    BanditError,
    InvalidInput,
    NotAuthenticated,
    PayloadTooLarge,
    TooManyRequests,
)
from bandit_service.serving.requests import MAX_BODY

Body = TypeVar("Body")

JSON: Final = "application/json"
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


def too_large() -> PayloadTooLarge:
    """The error for a body over the limit."""
    return PayloadTooLarge("the body is too large", hint=f"send at most {MAX_BODY} bytes")
