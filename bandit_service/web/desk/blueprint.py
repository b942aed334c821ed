"""The desk's parts, put together: a view for each line of ``routes``, behind ``gate``."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from bandit_service.errors import BanditError, NotFound
from bandit_service.services import Services
from bandit_service.web.desk.errors import in_words
from bandit_service.web.desk.files import Files
from bandit_service.web.desk.gate import SIGN_IN_RATE, Gate, redirect_to
from bandit_service.web.desk.nexts import WhatNext
from bandit_service.web.desk.overview import Overview
from bandit_service.web.desk.page import Pages
from bandit_service.web.desk.personas import PersonasPage
from bandit_service.web.desk.placement import PlacementPage
from bandit_service.web.desk.placement_form import PlacementForms
from bandit_service.web.desk.policies import Policies
from bandit_service.web.desk.routes import PREFIX, ROUTES
from bandit_service.web.desk.sheets import Sheets
from bandit_service.web.desk.variant_form import VariantForms
from bandit_service.web.limits import Limits

View = Callable[..., Response]


class Desk:
    """The desk of one process."""

    def __init__(self, services: Services, limits: Limits) -> None:
        """Stand on ``services``; ``limits`` counts attempts and calls."""
        self._files = Files()
        self._pages = Pages(self._files)
        self._gate = Gate(
            services,
            self._pages,
            attempts=limits.of(SIGN_IN_RATE, "desk_sign_in"),
            calls=limits.management,
        )
        overview = Overview(services, self._pages)
        placement = PlacementPage(services, self._pages)
        placements = PlacementForms(services, self._pages)
        variants = VariantForms(services, self._pages, limits.media)
        personas = PersonasPage(services, self._pages)
        sheets = Sheets(services, self._pages)
        nexts = WhatNext(services, self._pages)
        policies = Policies(services, self._pages)
        self._views: dict[tuple[str, str], View] = {
            ("GET", "sign_in"): self._gate.sign_in,
            ("POST", "signed_in"): self._gate.signed_in,
            ("POST", "sign_out"): self._gate.sign_out,
            ("GET", "file"): self._files.answer,
            ("GET", "home"): lambda: redirect_to(PREFIX),
            ("GET", "overview"): overview.page,
            ("GET", "overview_live"): overview.live,
            ("GET", "placement"): placement.page,
            ("GET", "placement_live"): placement.live,
            ("GET", "import_form"): sheets.form,
            ("POST", "import_look"): sheets.look,
            ("POST", "import_apply"): sheets.apply,
            ("GET", "export"): sheets.export,
            ("GET", "personas"): personas.page,
            ("GET", "personas_live"): personas.live,
            ("GET", "next"): nexts.page,
            ("GET", "policies"): policies.page,
            ("GET", "policies_live"): policies.live,
            ("POST", "go_back"): policies.go_back,
            ("GET", "new_placement"): placements.new,
            ("POST", "create_placement"): placements.create,
            ("GET", "edit_placement"): placements.edit,
            ("POST", "save_placement"): placements.save,
            ("POST", "retire_placement"): placements.retire,
            ("POST", "restore_placement"): placements.restore,
            ("POST", "finish_placement"): placements.finish,
            ("POST", "undo_placement"): placements.undo,
            ("POST", "remove_variant"): variants.remove,
            ("GET", "new_variant"): variants.new,
            ("POST", "add_variant"): variants.add,
            ("GET", "edit_variant"): variants.edit,
            ("POST", "save_variant"): variants.save,
            ("POST", "set_status"): variants.set_status,
        }

    def blueprint(self) -> Blueprint:
        """The blueprint of all routes."""
        desk = Blueprint("desk", __name__)
        desk.before_request(self._gate.admit)
        for route in ROUTES:
            view = self._views[route.method, route.name]
            desk.add_url_rule(route.rule, route.name, view, methods=[route.method])
        return desk

    def refusal(self, error: BanditError, status: int) -> Response:
        """The page that says what went wrong, and what to do about it."""
        return self._pages.page("error.html", status, **in_words(error, status, request.path))


def is_desk(path: str) -> bool:
    """Whether a path is the desk's."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def nothing_there(path: str) -> NotFound:
    """The error for a path of the desk that leads nowhere."""
    return NotFound(f"there is nothing at {path[:200]}", hint="start from the overview")
