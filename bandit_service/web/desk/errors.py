"""Errors as people read them: what happened, whether anything was changed, what to do next."""

from __future__ import annotations

import re
from typing import Any, Final

from bandit_service.catalog.limits import CATALOG_ID
from bandit_service.errors import BanditError
from bandit_service.web.desk.routes import PREFIX

TITLES: Final = {
    400: "That could not be understood",
    401: "Sign in first",
    403: "Your key does not reach this far",
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "That cannot be done as things stand",
    412: "That cannot be done as things stand",
    413: "That is too large",
    422: "That breaks a rule",
    429: "Too much at once",
    500: "Something went wrong here",
    503: "The store does not answer",
}
_NOT_YOURS: Final = "This form is not of your sign-in"
"""Instead of 403's title, where it is the form and not the role that does not reach."""
_OF_A_PLACEMENT: Final = re.compile(rf"({PREFIX}/placements/{CATALOG_ID.pattern})/.+")
_REMEDIES: Final = {
    404: "It may have been removed, or the address is mistyped.",
    429: "Wait a little and load the page again.",
    500: "Nothing that you sent was half done. If it happens again, tell whoever runs the service: "
    "its log says more.",
    503: "Visitors are still answered. Load the page again in a moment; if it stays, tell whoever "
    "runs the service.",
}


def in_words(error: BanditError, status: int, path: str) -> dict[str, Any]:
    """What the template for errors shows; ``path`` is where it happened."""
    message = error.message[:1].upper() + error.message[1:]
    hint = error.hint or ""
    title = TITLES.get(status, TITLES[500] if status >= 500 else TITLES[400])
    within = None if status == 404 else _OF_A_PLACEMENT.fullmatch(path)
    return {
        "title": _NOT_YOURS if error.specific_code == "form_not_yours" else title,
        "message": message if message.endswith((".", "?", "!")) else f"{message}.",
        "hint": hint[:1].upper() + hint[1:],
        "remedy": _REMEDIES.get(status, ""),
        "number": status,
        "back": "" if within is None else within[1],
    }
