"""What a spreadsheet would do: said of each row, with every problem at its row and column."""

from __future__ import annotations

import csv
import io
import re
import string
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.catalog.edit import put_placement, put_variant, retire_variant
from bandit_service.catalog.limits import MARKUP
from bandit_service.catalog.model import Placement, PlacementSpec, VariantSpec
from bandit_service.catalog.moments import moment_of
from bandit_service.catalog.sheets import preview as module
from bandit_service.catalog.sheets.columns import COLUMNS
from bandit_service.catalog.sheets.preview import Draft, draft, placements_in
from bandit_service.catalog.sheets.table import read_table
from bandit_service.catalog.sheets.writing import write_sheet
from bandit_service.errors import InvalidCatalog

NOW = 1_900_000_000_000


def placement(placement_id: str = "film", *variants: dict[str, Any], **fields: Any) -> Placement:
    specs = [{"headline": f"Headline {v['id']}", "status": "live", **v} for v in variants]
    body = {"kind": "headline", **fields, "variants": specs}
    return put_placement(None, placement_id, msgspec.convert(body, PlacementSpec), now=NOW)


FILM = placement("film", {"id": "a", "tags": ["warm"], "attributes": {"faces": 2}}, {"id": "b"})


def sheet(*rows: dict[str, object], header: tuple[str, ...] = ()) -> bytes:
    """A CSV file of these rows, with the columns that they have."""
    names = header or tuple(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def planned(data: bytes, *present: Placement, zone: Any = UTC) -> Draft:
    return draft(read_table(data), {each.id: each for each in present}, now=NOW, zone=zone)


def row(variant: str = "a", placement: str = "film", **cells: object) -> dict[str, object]:
    return {"placement": placement, "variant": variant, **cells}


def problems(data: bytes, *present: Placement) -> list[tuple[int | None, str | None]]:
    made = planned(data, *present)
    assert made.placements == []
    assert made.preview.problems
    assert all(problem.hint for problem in made.preview.problems)
    return [(problem.row, problem.column) for problem in made.preview.problems]


def said(made: Draft) -> list[tuple[Any, ...]]:
    assert made.preview.problems == []
    return [
        (p.row, p.placement, p.variant, p.action, p.version, p.fields) for p in made.preview.rows
    ]


# -- what it would do


def test_rows_create_change_make_versions_or_do_nothing() -> None:
    # given
    data = sheet(
        row("a", headline="Another"),
        row("b", headline="Headline b"),
        row("c", headline="New"),
        row("x", "other", kind="headline", headline="X", status="live"),
        header=("placement", "kind", "variant", "headline", "status"),
    )

    # when
    made = planned(data, FILM)

    # then
    assert said(made) == [
        (2, "film", "a", "new_version", 2, ("headline",)),
        (3, "film", "b", "nothing", 1, ()),
        (4, "film", "c", "create", 1, ("headline",)),
        (5, "other", "x", "create", 1, ("headline",)),
    ]
    preview = made.preview
    assert (preview.created, preview.changed, preview.untouched) == (["other"], ["film"], [])
    assert preview.counts == {"create": 2, "change": 0, "new_version": 1, "nothing": 1}
    film, other = (new for _, new in made.placements)
    assert [(v.arm, v.headline, v.status) for v in film.variants] == [
        ("a@2", "Another", "live"),
        ("b@1", "Headline b", "live"),
        ("c@1", "New", "draft"),
    ]
    assert [v.status for v in other.variants] == ["live"]


def test_a_file_that_changes_nothing_says_so() -> None:
    made = planned(sheet(row("a", headline="Headline a")), FILM)

    assert [plan[3] for plan in said(made)] == ["nothing"]
    assert made.preview.untouched == ["film"]
    assert made.placements == [(FILM, FILM)]


def test_a_column_that_is_missing_leaves_what_is_there_and_an_empty_cell_empties_it() -> None:
    # given a version that nobody has seen yet
    old = put_variant(
        FILM,
        "film",
        "a",
        VariantSpec(
            headline="Headline a", alt="Alt", tags=["warm"], status="paused", min_share=0.3
        ),
        now=NOW,
    )

    # when
    kept = planned(sheet(row("a", headline="Headline a")), old)
    emptied = planned(
        sheet(row("a", headline="Headline a", alt="", tags="", min_share="", status="", kind="")),
        old,
    )

    # then
    assert [plan[3] for plan in said(kept)] == ["nothing"]
    assert [plan[3:] for plan in said(emptied)] == [("change", 2, ("alt", "tags", "min_share"))]
    ((_, new),) = emptied.placements
    variant = new.variant("a")
    assert variant is not None
    assert (variant.alt, variant.tags, variant.min_share) == (None, (), 0.0)
    assert variant.status == "paused"


def test_what_a_spreadsheet_has_no_column_for_stays() -> None:
    old = placement("film", {"id": "a", "attributes": {"faces": 2}}, {"id": "b"}, name="Film",
                    tags=["drama"], finish={"winner": "b"}, canonical="a")  # fmt: skip

    ((_, new),) = planned(sheet(row("a", headline="Other")), old).placements

    assert new.variant("b") == old.variant("b")
    assert [v.attributes for v in new.variants] == [{"faces": 2}, {}]
    for field in ("name", "tags", "finish", "canonical", "kind"):
        assert getattr(new, field) == getattr(old, field)


def test_times_are_of_the_zone_of_whoever_imports() -> None:
    data = sheet(row("a", **{"from": "2030-07-01", "until": "2030-07-31"}))

    ((_, new),) = planned(data, FILM, zone=ZoneInfo("Europe/Lisbon")).placements

    variant = new.variant("a")
    assert variant is not None
    assert variant.live_from == datetime(2030, 6, 30, 23, tzinfo=UTC)
    assert variant.live_until == datetime(2030, 7, 31, 23, tzinfo=UTC)


def test_a_formula_is_text() -> None:
    formula = '=HYPERLINK("https://evil.example","Click")'

    ((_, new),) = planned(sheet(row("a", headline=formula)), FILM).placements

    assert [v.headline for v in new.variants] == [formula, "Headline b"]


def test_a_placement_that_was_retired_comes_back_with_its_row() -> None:
    old = retire_variant(FILM, "b", now=NOW)

    ((_, new),) = planned(sheet(row("b", status="live")), old).placements

    assert [v.status for v in new.variants] == ["live", "live"]


# -- what is wrong with it


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"headline": "x" * 10_000}, "headline"),
        ({"headline": "A <b>kiss</b>"}, "headline"),
        ({"headline": "<script>alert(1)</script>"}, "headline"),
        ({"headline": "Tom &amp; Jerry"}, "headline"),
        ({"headline": "   "}, "headline"),
        ({"headline": ""}, "headline"),
        ({"alt": "<img src=x onerror=alert(1)>"}, "alt"),
        ({"image_url": "javascript:alert(1)"}, "image_url"),
        ({"target_url": "JavaScript:alert(1)"}, "target_url"),
        ({"target_url": "data:text/html,x"}, "target_url"),
        ({"target_url": "/" + "x" * 3000}, "target_url"),
        ({"tags": 'couple, "warm'}, "tags"),
        ({"tags": "a, a"}, "tags"),
        ({"tags": "x" * 65}, "tags"),
        ({"status": "online"}, "status"),
        ({"status": "draft"}, "status"),
        ({"kind": "card"}, "kind"),
        ({"kind": "banner"}, "kind"),
        ({"min_share": "a bit"}, "min_share"),
        ({"min_share": "0.9", "max_share": "0.1"}, "min_share"),
        ({"max_share": "120 %"}, "min_share"),
        ({"from": "01/05/2030"}, "from"),
        ({"until": "soon"}, "until"),
        ({"from": "1999-12-31"}, "from"),
        ({"from": "2030-06-01", "until": "2030-05-01"}, "until"),
        ({"variant": ""}, "variant"),
        ({"variant": "no good"}, "variant"),
        ({"placement": ""}, "placement"),
        ({"placement": "no/good"}, "placement"),
    ],
)
def test_a_problem_is_told_at_its_row_and_column(cells: dict[str, object], column: str) -> None:
    data = sheet({**row("b"), "headline": "B"}, {**row("a"), "headline": "A", **cells})

    assert problems(data, FILM) == [(3, column)]


def test_every_problem_is_told_at_once() -> None:
    # given many rows of which all but one are wrong, some in several cells
    data = sheet(
        row("a", headline="x" * 10_000, target_url="javascript:alert(1)", status="online"),
        row("b", headline="Fine"),
        row("c", headline="<b>", min_share="2"),
        row("a", headline="Again"),
        row("d", "nowhere", headline="D"),
        row("e", "nowhere", headline="E"),
        header=("placement", "variant", "headline", "target_url", "status", "min_share"),
    )

    # then
    assert problems(data, FILM) == [
        (2, "status"), (2, "headline"), (2, "target_url"),
        (4, "headline"), (4, "min_share"),
        (5, "variant"),
        (6, "kind"),
    ]  # fmt: skip


def test_a_message_says_what_is_wrong_without_the_name_of_a_field() -> None:
    data = sheet(
        row("a", headline="x" * 10_000, alt="<b>", **{"from": "2030-06-01", "until": "2030-05-01"})
    )

    messages = {p.column: p.message for p in planned(data, FILM).preview.problems}

    assert messages["headline"] == "has 10000 characters"
    assert messages["alt"].startswith("has markup in it")
    assert "is not after from" in messages["until"]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [(("0.6", "0.6"), [(2, "min_share")]), (("0.6", "0.4"), [])],
)
def test_what_is_wrong_with_a_placement_as_a_whole_is_told_at_its_first_row(
    shares: tuple[str, str], expected: list[tuple[int, str]]
) -> None:
    data = sheet(*(row(v, min_share=s) for v, s in zip("ab", shares, strict=True)))

    made = planned(data, FILM)

    assert [(p.row, p.column) for p in made.preview.problems] == expected


def test_each_placement_is_looked_at_though_another_has_a_problem() -> None:
    other = placement("other", {"id": "a"}, {"id": "b"})
    rows = [row(v, p, min_share="0.6") for p in ("film", "other") for v in "ab"]

    assert problems(sheet(*rows), FILM, other) == [(2, "min_share"), (4, "min_share")]


def test_a_row_with_more_cells_than_the_header_is_told() -> None:
    data = b"placement,variant,headline\nfilm,a,One, two\nfilm,b,B,\nfilm,c\n"

    assert problems(data, FILM) == [(2, None), (4, "headline")]


def test_a_header_with_a_mistake_is_told_before_any_row() -> None:
    data = sheet({**row("a"), "headlin": "A"}, {**row(""), "headlin": ""})

    assert problems(data, FILM) == [(1, "headlin")]


def test_a_file_that_breaks_off_changes_nothing() -> None:
    data = sheet(row("a", headline="Fine")) + b'film,b,"never ends\n'

    assert problems(data, FILM) == [(3, None)]


def test_too_many_placements_for_one_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PLACEMENTS", 3)
    rows = [row("a", f"p{n}", kind="headline", headline="H") for n in range(4)]

    assert problems(sheet(*rows)) == [(None, None)]
    assert planned(sheet(*rows[:3])).preview.problems == []


def test_the_placements_of_a_file_are_known_before_it_is_read() -> None:
    assert placements_in(read_table(sheet(row("a"), row("b", " other ")))) == {"film", "other"}
    assert placements_in(read_table(b"variant,headline\na,A\n")) == set()


# -- there and back


NASTY = st.text(
    st.one_of(st.sampled_from("=+-@'\t\",;\n\r|: é\u2028"), st.sampled_from(string.ascii_letters)),
    min_size=1,
    max_size=12,
)
ONE_LINE = NASTY.map(lambda text: " ".join(text.split())).filter(bool)
tags = st.lists(ONE_LINE, unique=True, max_size=3)
moments = st.none() | st.integers(10**12, 10**13).map(moment_of)
creatives = st.fixed_dictionaries(
    {
        "headline": NASTY.map(lambda text: f"x{text}") | NASTY.map(lambda text: f"={text}x"),
        "alt": st.none() | NASTY,
        "target_url": st.none() | st.just("/a,b;c"),
        "tags": tags,
        "attributes": st.just({"n": 1}),
        "status": st.sampled_from(["draft", "live", "paused", "retired"]),
        "min_share": st.sampled_from([0.0, 0.1]),
        "max_share": st.sampled_from([1.0, 1 / 3, 1e-9]),
        "live_from": moments,
    }
)


@given(st.lists(creatives, min_size=1, max_size=4), st.sampled_from(",;\t"))
def test_what_is_exported_and_imported_again_is_no_change(
    variants: list[dict[str, Any]], delimiter: str
) -> None:
    # given
    specs = [{**v, "id": f"v{n}"} for n, v in enumerate(variants)]
    try:
        old = placement("film", *specs)
    except InvalidCatalog:
        return
    other = placement("other", {"id": "a", "headline": "Plain"})

    # when
    data = write_sheet([old, other], delimiter=delimiter)
    made = planned(data, old, other, zone=ZoneInfo("Asia/Tokyo"))

    # then
    assert made.preview.problems == []
    assert {plan.action for plan in made.preview.rows} == {"nothing"}
    assert made.preview.untouched == ["film", "other"]


def test_no_cell_of_an_export_begins_like_a_formula() -> None:
    formulas = ["=1+1", "+1", "-1", "@a", "\t=1", "'=1", "a;=1", 'a;"=1"']
    variants = [
        {"id": f"v{n}", "headline": f, "alt": f, "tags": [f.strip()]}
        for n, f in enumerate(formulas)
    ]

    data = write_sheet([placement("film", *variants)])

    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    for cell in (cell for cells in rows for cell in cells):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    for cell in re.split("[;\r\n]", data.decode("utf-8-sig")):  # where semicolons divide
        assert not cell.lstrip('"').startswith(("=", "+", "-", "@"))
    assert data.startswith(b"\xef\xbb\xbf")


def test_retired_placements_are_not_exported() -> None:
    gone = msgspec.structs.replace(FILM, retired=True)

    assert write_sheet([gone]).count(b"\r\n") == 1


def test_markup_is_what_pages_are_made_of() -> None:
    texts = ("<b", "</b", "<!--", "&#x27;", "<3", "a & b")

    assert [bool(MARKUP.search(text)) for text in texts] == [True] * 4 + [False] * 2


def test_the_largest_file_takes_bounded_time() -> None:
    # given 500 placements of 100 variants each
    rows = [
        row(f"v{n}", f"p{p}", kind="headline", headline=f"Headline {n}", status="live", tags="a, b")
        for p in range(500)
        for n in range(100)
    ]
    data = sheet(*rows)
    started = time.process_time()

    # when
    made = planned(data)

    # then
    assert made.preview.counts["create"] == 50_000
    assert time.process_time() - started < 30
