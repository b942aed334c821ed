"""Who comes in: sign-in, sign-out, and the look at every request that precedes its view.

The order is the promise: which page is asked for, whether somebody is signed in for it, whether
their role reaches, whether a change carries the token of its form. A view runs after all of it.

The form for signing in has a token too, in a cookie from before. A browser that does not send it
back keeps no cookie of ours, mostly since the page came over plain http from another machine, and
is told so: without this it would be asked for its key again and again.

Attempts are counted by the address that they come from, under a pseudonym that lasts as long as
the rate's window. Behind a proxy that is one address for all: limit there too.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from flask import Response, g, request

from bandit_service.errors import NotAllowed, NotAuthenticated, TooManyRequests
from bandit_service.services import Services
from bandit_service.web.desk.page import Pages, me
from bandit_service.web.desk.routes import PREFIX, ROUTES, UPLOADS, DeskRoute
from bandit_service.web.desk.session import COOKIE, NONCE_BYTES, VISIT_COOKIE, Sessions, same
from bandit_service.web.limits import Limiter

SIGN_IN: Final = f"{PREFIX}/sign-in"
SIGN_IN_RATE: Final = "20/minute"
"""Attempts to sign in from one address."""
MAX_UPLOAD: Final = 64 * 1_048_576
"""Largest form that is read of somebody who is signed in, in bytes: what is too large a picture is
refused beside its field, with the rest of the form as it was."""
_MAX_KEY: Final = 500
"""Longest key that is looked at, in characters."""
_SHOWN: Final = frozenset(route.path for route in ROUTES if route.what == "page")
"""Paths that one can be led back to: a form is sent to the path that it is shown at."""
WHY: Final = {
    "signed_out": "You were signed out. Sign in again to go on.",
    "gone": "The key that you signed in with was revoked or has expired. Sign in with another one.",
    "unsaved": "Your sign-in has ended, so what you sent was not saved. Sign in again to go on.",
    "bye": "You are signed out.",
}
"""What the page for signing in says of why it is there, by the word in its address."""
_NO_COOKIE: Final = (
    "Your browser did not keep the cookie that signing in needs. It is sent over a safe connection "
    "alone: open the desk by https, or by http://localhost on the machine that it runs on, and let "
    "your browser keep cookies of this site."
)
_WEBSITES_KEY: Final = (
    "This is a website's key: it asks for variants and reports events, and may stand in pages that "
    "anybody can read. The desk takes an editor's or an admin's key."
)
_UNKNOWN_KEY: Final = (
    "No valid key reads like this. Copy it whole, from bk_ on; a key that was revoked or has "
    "expired does not open the desk."
)


class Gate:
    """Lets in, and out."""

    def __init__(
        self, services: Services, pages: Pages, *, attempts: Limiter, calls: Limiter
    ) -> None:
        """``attempts`` limits signing in, ``calls`` what one key may ask for."""
        self._services = services
        self._sessions = Sessions(services)
        self._pages = pages
        self._attempts = attempts
        self._calls = calls
        self._routes = {(route.method, route.name): route for route in ROUTES}

    # -- every request

    def admit(self) -> Response | None:
        """Let the request go on to its view, or answer it here.

        Raises:
            NotAllowed: if the role of whoever is signed in does not reach, or a form is not ours.
            TooManyRequests: if their key has used up its rate.
        """
        route = self._route()
        if route is None or route.role is None:
            return None
        try:
            g.signed_in = self._sessions.resume(request.cookies.get(COOKIE, ""))
        except NotAuthenticated as exc:
            return self._ask_to_sign_in(route, exc)
        me().key.allow(route.role)
        self._calls.charge(me().key.id)
        if route.name in UPLOADS:
            request.max_content_length = MAX_UPLOAD
            request.max_form_memory_size = MAX_UPLOAD
        if route.method == "POST" and not same(me().token, request.form.get("token")):
            raise NotAllowed(
                "this form does not belong to your sign-in, so nothing was changed",
                hint="go back, reload the page and send it again",
                code="form_not_yours",
            )
        return None

    def _route(self) -> DeskRoute | None:
        name = (request.endpoint or "").rpartition(".")[2]
        return self._routes.get(("GET" if request.method == "HEAD" else request.method, name))

    def _ask_to_sign_in(self, route: DeskRoute, exc: NotAuthenticated) -> Response:
        """Lead a person to the form, with the way back; tell a script in a word."""
        known = COOKIE in request.cookies
        why = ("signed_out" if exc.specific_code == "signed_out" else "gone") if known else ""
        if route.what == "part":
            return Response("signed out", status=401, mimetype="text/plain")
        if why and route.method == "POST" and route.name != "sign_out":
            why = "unsaved"
        back = request.full_path.rstrip("?") if route.path in _SHOWN else PREFIX
        return redirect_to(f"{SIGN_IN}?to={quote(back, safe='')}" + (f"&why={why}" if why else ""))

    # -- views

    def sign_in(self) -> Response:
        """The form."""
        nonce = request.cookies.get(VISIT_COOKIE) or self._nonce()
        return self._form(nonce, why=WHY.get(request.args.get("why", "")))

    def signed_in(self) -> Response:
        """Take the key of the form."""
        nonce = request.cookies.get(VISIT_COOKIE)
        if nonce is None:
            return self._form(self._nonce(), problem=_NO_COOKIE, status=400)
        if not same(nonce, request.form.get("token")):
            return self._form(nonce, problem="This form was stale. Send it again.", status=400)
        key = request.form.get("key", "").strip()[:_MAX_KEY]
        try:
            self._attempts.charge(self._stranger())
            cookie = self._sessions.begin(key, request.cookies.get(COOKIE))
        except TooManyRequests as exc:
            again = f"Too many attempts. Try again in {exc.retry_after} seconds."
            refused = self._form(nonce, problem=again, status=429)
            refused.headers["Retry-After"] = str(exc.retry_after)
            return refused
        except NotAllowed:
            return self._form(nonce, problem=_WEBSITES_KEY, status=403)
        except NotAuthenticated:
            return self._form(nonce, problem=_UNKNOWN_KEY if key else "Enter a key.", status=401)
        response = redirect_to(inside(request.form.get("to")))
        _keep(response, COOKIE, cookie)
        response.delete_cookie(VISIT_COOKIE, secure=True, httponly=True, samesite="Lax")
        return response

    def sign_out(self) -> Response:
        """Drop the cookie."""
        response = redirect_to(f"{SIGN_IN}?why=bye")
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Lax")
        return response

    # -- inside

    def _form(
        self, nonce: str, *, why: str | None = None, problem: str | None = None, status: int = 200
    ) -> Response:
        to = inside(request.values.get("to"))
        response = self._pages.page(
            "sign_in.html", status, token=nonce, to=to, why=why, problem=problem
        )
        _keep(response, VISIT_COOKIE, nonce)
        return response

    def _nonce(self) -> str:
        return self._services.entropy(NONCE_BYTES).hex()

    def _stranger(self) -> str:
        """A name for where the request comes from that says nothing of it to anybody else."""
        key = self._services.view(self._services.settings.site).secret.sign_in
        address = (request.remote_addr or "").encode()
        return blake2b(address, key=key, digest_size=12).hexdigest()


def inside(to: str | None) -> str:
    """``to`` if it is an address of the desk on this host; the overview if not."""
    text = to or ""
    path, _, query = text.partition("?")
    ours = re.fullmatch(r"/desk(/[A-Za-z0-9._~%/-]*)?", path) and path != SIGN_IN
    climbs = re.search(r"//|/\.\.?(/|$)", path)
    plain = query.isascii() and query.isprintable()
    return text if ours and plain and not climbs else PREFIX


def redirect_to(address: str) -> Response:
    """Lead on to a page, with GET."""
    return Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


def _keep(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, secure=True, httponly=True, samesite="Lax", path="/")
