"""The page: one file that fetches nothing, runs nothing but its own, and can be read by anyone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bandit_service.evaluation.report import charts
from bandit_service.evaluation.report.page import page
from bandit_service.evaluation.report.shell import embedded
from tests.evaluation.evaluations import HOSTILE, evaluation, nothing
from tests.evaluation.reading import Seen, seen

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE_MS = (10_000, 60_000, 300_000)
"""How much of its own time the browser gets to draw."""
ADDRESSES = ("src", "href", "action", "data", "poster", "srcset", "formaction", "background")


@pytest.fixture(scope="module")
def html() -> str:
    return page(evaluation())


@pytest.fixture(scope="module")
def shown(html: str) -> Seen:
    return seen(html)


def policy_of(shown: Seen) -> str:
    return next(
        attributes["content"] or ""
        for tag, attributes in shown.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )


def test_no_address_leads_out_of_the_file(shown: Seen) -> None:
    for tag, attributes in shown.tags:
        for name in ADDRESSES:
            if name in attributes:
                assert (attributes[name] or "").startswith("#"), (tag, attributes)
    assert not [tag for tag, _ in shown.tags if tag in ("link", "img", "iframe", "object", "base")]


def test_its_styles_fetch_nothing(html: str) -> None:
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)

    assert len(styles) == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]


def test_only_plotly_and_the_script_that_draws_may_run(shown: Seen) -> None:
    rule = policy_of(shown)
    hashes = [f"'sha256-{b64encode(sha256(s.encode()).digest()).decode()}'" for s in shown.scripts]

    assert len(shown.scripts) == 2
    assert shown.scripts[0] == charts.script()
    assert f"script-src {' '.join(hashes)};" in rule
    assert rule.startswith("default-src 'none';")


def test_nothing_runs_on_an_event(shown: Seen) -> None:
    for tag, attributes in shown.tags:
        assert not [name for name in attributes if name.startswith("on")], tag


def test_names_from_outside_are_text(shown: Seen) -> None:
    for name in HOSTILE[:5]:
        assert name in shown.text
    assert "\x1b" not in shown.text
    assert "\u202e" not in shown.text
    assert "49" not in re.findall(r"\{\{ (.*?) \}\}", shown.text)


def test_names_from_outside_are_text_in_the_charts(shown: Seen) -> None:
    joined = "".join(shown.data)

    assert len(shown.data) > 10
    for data in shown.data:
        assert not set("<>") & set(data)
        msgspec.json.decode(data)
    assert r"\u0026lt;/script\u0026gt;" in joined


def test_plotly_is_told_no_markup_but_line_breaks(shown: Seen) -> None:
    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for part in value.values() for text in texts(part)]
        if isinstance(value, list):
            return [text for part in value for text in texts(part)]
        return [value] if isinstance(value, str) else []

    found = [text for data in shown.data for text in texts(msgspec.json.decode(data))]
    assert any("&lt;b&gt;noir&lt;/b&gt; &amp; été" in text for text in found)
    for text in found:
        assert set(re.findall(r"<[^>]*>", text)) <= {"<br>"}


def test_json_ends_no_script() -> None:
    data = msgspec.json.encode({"a": "</script><!--<script>&"}).decode()

    assert msgspec.json.decode(str(embedded(data))) == {"a": "</script><!--<script>&"}
    assert "<" not in embedded(data)


def test_every_chart_says_what_it_shows_and_is_followed_by_a_table(html: str, shown: Seen) -> None:
    drawings = [a for tag, a in shown.tags if tag == "div" and a.get("class") == "drawing"]

    assert len(drawings) > 10
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert attributes["aria-label"]
    after = html.split("</figure>")[1:]
    for rest in after:
        assert "<table>" in rest.split("<figure")[0]


def test_its_parts_have_names_that_tools_can_follow(shown: Seen) -> None:
    tags = [tag for tag, _ in shown.tags]

    assert ("html", {"lang": "en"}) in shown.tags
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        assert tags.count(landmark) == 1, landmark
    assert tags.count("table") == tags.count("caption")
    for tag, attributes in shown.tags:
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if attributes.get("role") == "region":
            assert attributes["aria-label"]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_link_leads_somewhere_and_no_id_is_given_twice(shown: Seen) -> None:
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]

    assert len(ids) == len(set(ids))
    for _, attributes in shown.tags:
        if "href" in attributes:
            assert (attributes["href"] or "")[1:] in ids


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_can_be_read_on_what_it_stands_on_in_every_theme(html: str) -> None:
    themes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    ]

    assert len(themes) == 3
    for theme in themes:
        for text in ("ink", "muted", "link"):
            for back in ("page", "raised", "mark"):
                assert contrast(theme[text], theme[back]) >= 4.5, (text, back, theme)
        assert contrast(theme["grave"], theme["grave-back"]) >= 4.5
        assert contrast(theme["note"], theme["note-back"]) >= 4.5
    for light, dark in charts.DARK.items():
        if light in (charts.INK, charts.WEAK, charts.LOG):
            assert contrast(light, themes[0]["page"]) >= 4.5, light
            assert contrast(dark, themes[1]["page"]) >= 4.5, dark


def test_a_log_without_rows_and_policies_has_a_page() -> None:
    assert "No policy was evaluated." in seen(page(nothing())).text


@pytest.mark.slow
@pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"),  # in CI its lack is an error
    reason="there is no Chromium to open the page with",
)
@pytest.mark.parametrize("hostile", [True, False])
def test_a_browser_draws_the_charts_from_a_disk_under_the_pages_own_policy(
    hostile: bool, tmp_path: Path
) -> None:
    where = tmp_path / "report.html"
    where.write_text(page(evaluation(hostile=hostile, placements=12)), encoding="utf-8")

    for budget in PATIENCE_MS:  # a busy machine has drawn less of it in the same time
        done = subprocess.run(
            [
                *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                *("--enable-logging=stderr", f"--virtual-time-budget={budget}"),
                *("--window-size=1280,4000", f"--user-data-dir={tmp_path / 'profile'}"),
                where.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        if 'class="main-svg"' in done.stdout:
            break

    assert 'class="main-svg"' in done.stdout
    assert "4.12%" in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert "Uncaught" not in done.stderr
