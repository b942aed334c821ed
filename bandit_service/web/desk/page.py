"""From a template and what it shows to an answer.

Templates are ours alone and escape all that they are given; a name that a template misspells is an
error, not a blank. What every page needs (who is signed in, the writer of numbers, addresses of
files) is put in here, from the request's own state, so that a view names only what is its own.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Response, g, request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bandit_service.web.desk.files import Files
from bandit_service.web.desk.headers import dress
from bandit_service.web.desk.routes import PREFIX
from bandit_service.web.desk.session import SignedIn
from bandit_service.web.desk.writing import Writer, writer_for

_PACKAGE = "bandit_service.web.desk"


class Pages:
    """Renders the pages of one process."""

    def __init__(self, files: Files) -> None:
        """``files`` says where styles and scripts are."""
        self._environment = Environment(
            loader=PackageLoader(_PACKAGE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.do"],
        )
        self._environment.globals.update(desk=PREFIX, file=files.address)
        self._environment.filters["embedded"] = embedded

    def page(
        self, template: str, status: int = 200, *, charts: bool = False, **shown: Any
    ) -> Response:
        """A whole page."""
        return dress(self._answer(template, status, shown), charts=charts)

    def part(self, template: str, **shown: Any) -> Response:
        """A piece of a page, for a script that puts it in place if it is not as it was."""
        response = dress(self._answer(template, 200, shown))
        response.add_etag()
        response.make_conditional(request)
        return response

    def _answer(self, template: str, status: int, shown: dict[str, Any]) -> Response:
        text = self._environment.get_template(template).render(
            me=signed_in(), write=writer(), here=request.path, **shown
        )
        return Response(text, status=status, mimetype="text/html")


def signed_in() -> SignedIn | None:
    """Who asks, as far as ``gate`` has found out."""
    found: SignedIn | None = g.get("signed_in")
    return found


def me() -> SignedIn:
    """Who asks, in a view that nobody reaches without having signed in."""
    found: SignedIn = g.signed_in
    return found


def writer() -> Writer:
    """The writer of the visitor's locale."""
    return writer_for(request.accept_languages.values())


def embedded(value: Any) -> Markup:
    """JSON as the text of a script element, in which nothing can end that element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - JSON in which markup cannot occur any more
