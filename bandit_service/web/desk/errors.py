"""Errors as people read them: what happened, whether anything was changed, what to do next."""

from __future__ import annotations

from typing import Any, Final

from bandit_service.errors import BanditError

TITLES: Final = {
    400: "That could not be understood",
    401: "Sign in first",
    403: "Your key does not reach this far",
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "That cannot be done as things stand",
    412: "Somebody else was faster",
    413: "That is too large",
    422: "That breaks a rule",
    429: "Too much at once",
    500: "Something went wrong here",
    503: "The store does not answer",
}
_REMEDIES: Final = {
    404: "It may have been removed, or the address is mistyped.",
    429: "Wait a little and load the page again.",
    500: "Nothing that you sent was half done. If it happens again, tell whoever runs the service: "
    "its log says more.",
    503: "Visitors are still answered. Load the page again in a moment; if it stays, tell whoever "
    "runs the service.",
}


def in_words(error: BanditError, status: int) -> dict[str, Any]:
    """What the template for errors shows."""
    message = error.message[:1].upper() + error.message[1:]
    hint = error.hint or ""
    return {
        "title": TITLES.get(status, TITLES[500] if status >= 500 else TITLES[400]),
        "message": message if message.endswith((".", "?", "!")) else f"{message}.",
        "hint": hint[:1].upper() + hint[1:],
        "remedy": _REMEDIES.get(status, ""),
        "number": status,
    }
