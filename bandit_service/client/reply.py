"""From what came back to an answer, or to the error that it was.

Whoever answers may not be the service: a proxy says 502, a login page says 200. Only what has the
service's own shape is believed, and what has its shape of an error becomes the error that the
service raised, with its code, field and hint.
"""

from __future__ import annotations

import email.utils
import math
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from bandit_service.client.connection import Reply
from bandit_service.errors import (
    BanditError,
    InvalidCatalog,
    InvalidInput,
    MethodNotAllowed,
    NoAnswer,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NothingToShow,
    PayloadTooLarge,
    StorageError,
    TooManyRequests,
)
from bandit_service.serving.requests import ErrorAnswer

Answer = TypeVar("Answer")

MAX_WAIT: Final = 86_400.0
"""The longest time that anybody is told to wait, in seconds."""
_BY_STATUS: Final[Mapping[int, type[BanditError]]] = {
    kind.status: kind
    for kind in (
        InvalidInput,
        InvalidCatalog,
        PayloadTooLarge,
        NotAuthenticated,
        NotAllowed,
        NotFound,
        MethodNotAllowed,
        NothingToShow,
        StorageError,
    )
}


_error_decoder: Final = msgspec.json.Decoder(ErrorAnswer)


def answer_in(
    reply: Reply, decoder: msgspec.json.Decoder[Answer], *, asked: str, now: float
) -> Answer:
    """The answer in a reply. ``asked`` names who replied; ``now`` is in s since the Unix epoch.

    Raises:
        NoAnswer: if it holds none, nor an error of the service's own.
        BanditError: the error that it holds.
    """
    if reply.status not in (200, 202):
        raise _error_in(reply, asked, now)
    try:
        return decoder.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise NoAnswer(
            f"{asked} answered {reply.status} with something else than an answer: {exc}",
            code="unusable_answer",
            arrived=True,
            hint="is that the service's address, and is the service as new as this client?",
        ) from exc


def _error_in(reply: Reply, asked: str, now: float) -> BanditError:
    retry_after = _seconds(reply.headers.get("Retry-After"), now)
    try:
        error = _error_decoder.decode(reply.body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _foreign(reply, asked, retry_after)
    if reply.status == TooManyRequests.status:
        seconds = 1 if retry_after is None else math.ceil(min(retry_after, MAX_WAIT))
        return TooManyRequests(error.message, retry_after=seconds, hint=error.hint or "")
    kind = _BY_STATUS.get(reply.status)
    if kind is None:
        return NoAnswer(
            f"{asked} answered {reply.status}: {error.message}",
            code="unavailable",
            arrived=True,
            retry_after=retry_after,
            hint=error.hint,
        )
    return kind(error.message, hint=error.hint, field=error.field, code=error.code)


def _foreign(reply: Reply, asked: str, retry_after: float | None) -> NoAnswer:
    """The error for a status that somebody else than the service answered with."""
    busy = reply.status >= 500 or reply.status == TooManyRequests.status
    where = reply.headers.get("Location")
    return NoAnswer(
        f"{asked} answered {reply.status}" + (f", pointing to {where[:200]!r}" if where else ""),
        code="unavailable" if busy else "unusable_answer",
        arrived=reply.status >= 500,
        retry_after=retry_after,
        hint="a proxy before the service says so" if busy else "is that the service's address?",
    )


def _seconds(retry_after: str | None, now: float) -> float | None:
    """The seconds that a ``Retry-After`` means, whether it says them or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError):
        return None
