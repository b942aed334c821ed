"""The frame of every page: one file that needs nothing but itself.

Plotly's JavaScript and the script that draws are inlined once, and the page's own policy allows
those two texts alone, by their hashes: whatever else comes to stand in the page, by a name that
slipped through, does not run. Nothing is fetched: ``default-src 'none'``.

Styles are allowed inline since plotly writes its own.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bandit_service.evaluation.report import charts, table

_PACKAGE = "bandit_service.evaluation.report"


def render(template: str, **context: Any) -> str:
    """A page of a template that extends ``base.html``."""
    loader = PackageLoader(_PACKAGE)
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = embedded
    environment.globals["notices"] = table.notices
    drawing = loader.get_source(environment, "charts.js")[0]
    scripts = [charts.script(), drawing]
    return environment.get_template(template).render(
        scripts=[Markup(text) for text in scripts],  # noqa: S704 - ours and plotly's, tested to end no script
        policy=content_policy(scripts),
        dark=charts.DARK,
        **context,
    )


def embedded(json: str) -> Markup:
    """JSON as the text of a script element, in which nothing can end that element."""
    for character in "<>&":
        json = json.replace(character, f"\\u{ord(character):04x}")
    return Markup(json)  # noqa: S704 - JSON in which markup cannot occur any more


def content_policy(scripts: list[str]) -> str:
    """A Content-Security-Policy under which these scripts run and nothing else does."""
    hashes = " ".join(
        f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
