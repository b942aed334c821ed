"""Every address of the desk, in one table: who may ask for it, and what it is for.

``gate`` looks the role up here and the tests hold the table against the URL map, as
``web.routes`` does for the API. The API's description does not speak of these: they are for people.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from bandit_service.access import Role

PREFIX: Final = "/desk"

What = Literal["page", "part", "act", "file"]
"""``page``: a whole page. ``part``: a piece of one, fetched by a script. ``act``: a change, which
leads on to a page. ``file``: a style sheet, a script or a picture."""


class DeskRoute(NamedTuple):
    """One address."""

    method: str
    path: str
    """As Flask writes it, below PREFIX."""
    name: str
    """Of the endpoint, and of the view that answers."""
    role: Role | None
    """The least role of whoever signed in; None: nobody needs to."""
    what: What
    summary: str

    @property
    def rule(self) -> str:
        """The whole path."""
        return PREFIX + self.path


_PLACEMENT: Final = "/placements/<placement>"
_VARIANT: Final = "/placements/<placement>/variants/<variant>"

ROUTES: Final = (
    DeskRoute("GET", "/sign-in", "sign_in", None, "page", "Ask for a key"),
    DeskRoute("POST", "/sign-in", "signed_in", None, "act", "Sign in with a key"),
    DeskRoute("POST", "/sign-out", "sign_out", "editor", "act", "Sign out"),
    DeskRoute("GET", "/files/<version>/<path:name>", "file", None, "file", "Styles and scripts"),
    DeskRoute("GET", "/", "home", None, "act", "Lead on to the overview"),
    DeskRoute("GET", "", "overview", "editor", "page", "All placements, urgent ones first"),
    DeskRoute("GET", "/live", "overview_live", "editor", "part", "Numbers of cards that are shown"),
    DeskRoute("GET", _PLACEMENT, "placement", "editor", "page", "A placement and its variants"),
    DeskRoute("GET", _PLACEMENT + "/live", "placement_live", "editor", "part", "Its numbers"),
    DeskRoute("GET", "/new-placement", "new_placement", "editor", "page", "Form for a placement"),
    DeskRoute("POST", "/new-placement", "create_placement", "editor", "act", "Register one"),
    DeskRoute("GET", _PLACEMENT + "/edit", "edit_placement", "editor", "page", "Its settings"),
    DeskRoute("POST", _PLACEMENT + "/edit", "save_placement", "editor", "act", "Change them"),
    DeskRoute("POST", _PLACEMENT + "/retire", "retire_placement", "editor", "act", "Retire it"),
    DeskRoute("POST", _PLACEMENT + "/restore", "restore_placement", "editor", "act", "Undo that"),
    DeskRoute("POST", _PLACEMENT + "/finish", "finish_placement", "editor", "act", "How it ends"),
    DeskRoute("POST", _PLACEMENT + "/undo", "undo_placement", "editor", "act", "Undo changes"),
    DeskRoute("GET", _PLACEMENT + "/new-variant", "new_variant", "editor", "page", "Form for one"),
    DeskRoute("POST", _PLACEMENT + "/new-variant", "add_variant", "editor", "act", "Register one"),
    DeskRoute("GET", _VARIANT, "edit_variant", "editor", "page", "Form for a creative"),
    DeskRoute("POST", _VARIANT, "save_variant", "editor", "act", "Change a creative"),
    DeskRoute("POST", _VARIANT + "/status", "set_status", "editor", "act", "Publish or pause it"),
    DeskRoute("POST", _VARIANT + "/remove", "remove_variant", "editor", "act", "Remove it, unseen"),
    DeskRoute("GET", "/import", "import_form", "editor", "page", "Form for a spreadsheet"),
    DeskRoute("POST", "/import", "import_look", "editor", "act", "Say what it would do"),
    DeskRoute("POST", "/import/apply", "import_apply", "editor", "act", "Do that"),
    DeskRoute("GET", "/export.csv", "export", "editor", "file", "The catalog as a spreadsheet"),
    DeskRoute("GET", "/personas", "personas", "editor", "page", "Who the visitors are"),
    DeskRoute("GET", "/personas/live", "personas_live", "editor", "part", "Their numbers"),
    DeskRoute("GET", "/next", "next", "editor", "page", "What to make next"),
    DeskRoute("GET", "/policies", "policies", "editor", "page", "Settings over time"),
    DeskRoute("GET", "/policies/live", "policies_live", "editor", "part", "How far a rebuild is"),
    DeskRoute("POST", "/policies", "go_back", "admin", "act", "Rebuild under earlier settings"),
)  # fmt: skip
"""All addresses."""
UPLOADS: Final = frozenset({"add_variant", "save_variant", "import_look", "import_apply"})
"""Names of the addresses whose forms may carry a file."""
