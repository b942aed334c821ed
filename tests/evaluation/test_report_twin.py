"""The JSON twin: the same bytes for the same result, and back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bandit_service.errors import InvalidInput
from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.report.markdown import markdown
from bandit_service.evaluation.report.page import page
from bandit_service.evaluation.report.twin import read_json, write_json
from tests.evaluation.evaluations import evaluation, nothing
from tests.test_foreign_files import mutated

SMALL = write_json(evaluation(placements=3, moments=3))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), placements=st.integers(0, 12), moments=st.integers(1, 9))
def test_what_is_written_is_read_back(seed: int, placements: int, moments: int) -> None:
    whole = evaluation(seed=seed, placements=placements, moments=moments)

    data = write_json(whole)

    assert read_json(data, "r.json") == admitted(whole)
    assert write_json(read_json(data, "r.json")) == data


def test_a_result_without_rows_is_read_back() -> None:
    assert read_json(write_json(nothing()), "r.json") == nothing()


def test_the_order_of_reasons_changes_no_byte() -> None:
    whole = evaluation()
    turned = msgspec.structs.replace(whole, excluded=dict(reversed(whole.excluded.items())))

    assert write_json(turned) == write_json(whole)


def test_another_format_is_refused_with_the_name_of_the_file() -> None:
    with pytest.raises(InvalidInput, match=r"old\.json has format 7; this version reads 1"):
        read_json(SMALL.replace(b'"format": 1', b'"format": 7'), "old.json")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"format": 1}', SMALL[:-5]]
)
def test_what_is_no_result_is_refused_with_the_name_of_the_file(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^r\.json is not a result of evaluate: ") as refusal:
        read_json(data, "r.json")
    assert refusal.value.hint


def test_what_cannot_be_reported_is_refused_with_the_name_of_the_file() -> None:
    data = SMALL.replace(b'"headline": "dr"', b'"headline": "none"')

    with pytest.raises(InvalidInput, match=r"^r\.json: .*headline estimator 'none'"):
        read_json(data, "r.json")


def numbers_of(tree: Any) -> list[tuple[Any, Any]]:
    """Where the numbers of a tree are: the list or dictionary, and the index or key."""
    if not isinstance(tree, dict | list):
        return []
    parts = list(tree.items() if isinstance(tree, dict) else enumerate(tree))
    here = [(tree, key) for key, part in parts if type(part) in (int, float)]
    return here + [found for _, part in parts for found in numbers_of(part)]


@settings(max_examples=40, deadline=None, phases=[Phase.generate])  # a page is slow to shrink
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.sampled_from([0, -1, 1e308, -1e308, 5e-324, 1e15, 2**62, 0.5, 1e-7]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_extreme_numbers_are_rendered_or_refused_by_name(
    changes: list[tuple[int, float]],
) -> None:
    tree = msgspec.json.decode(SMALL)
    places = numbers_of(tree)
    for at, value in changes:
        holder, key = places[at % len(places)]
        holder[key] = value

    refusal = None
    try:
        found = read_json(msgspec.json.encode(tree), "r.json")
    except InvalidInput as exc:
        refusal = exc
    else:
        assert len(markdown(found)) < 100_000
        assert page(found)
    assert refusal is None or refusal.message.startswith("r.json")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(SMALL))
def test_a_damaged_result_is_rendered_or_refused_by_name(data: bytes) -> None:
    refusal = None
    try:
        assert markdown(read_json(data, "r.json"))
    except InvalidInput as exc:
        refusal = exc
    assert refusal is None or (refusal.message.startswith("r.json") and refusal.hint)
