"""People at the desk, without a browser: a client that keeps cookies and sends tokens."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

HTTPS = "https://desk.example"


class Person:
    """Somebody with a browser of their own, over https."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, base_url=HTTPS, headers=named)

    def post(
        self, path: str, data: dict[str, Any] | None = None, *, token: str | None = None
    ) -> TestResponse:
        """Send a form; with the token of the page that one would send it from, unless told."""
        body = {"token": self.token() if token is None else token, **(data or {})}
        return self.client.post(path, base_url=HTTPS, data=body)

    def token(self) -> str:
        """The token of the forms that this person is shown."""
        return hidden(self.get("/desk/sign-in" if not self.is_in else "/desk"), "token")

    def sign_in(self, key: str, to: str = "") -> TestResponse:
        """Send the form for signing in."""
        token = hidden(self.get("/desk/sign-in"), "token")
        return self.post("/desk/sign-in", {"key": key, "to": to}, token=token)

    @property
    def is_in(self) -> bool:
        """Whether the overview is shown to them."""
        return self.get("/desk").status_code == 200

    def cookie(self, name: str) -> str | None:
        found = self.client.get_cookie(name, "desk.example")
        return None if found is None else found.value


def hidden(response: TestResponse, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', response.text)
    assert found is not None, response.text
    return unescape(found[1])


def text_of(response: TestResponse) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())
