from __future__ import annotations

import io
import json

import msgspec
import pytest
from rich.console import Console

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.report.sections import markdown, page, terminal
from bandit_service.evaluation.report.sweep import document
from bandit_service.evaluation.report.sweep_door import (
    admitted_sweep,
    is_sweep,
    read_sweep,
    write_sweep,
)
from bandit_service.evaluation.sweeping.grid import Plan, Point, Unreadable
from bandit_service.evaluation.sweeping.results import SweepResult
from tests.evaluation.evaluations import HOSTILE
from tests.evaluation.sweeping import BASE, GOOD, a_log, swept


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """A sweep with a policy of a hostile name, and a file that holds none."""
    path = a_log(tmp_path_factory.mktemp("sweep"), visits=800)
    evil = Point(HOSTILE[0], GOOD.settings)
    unread = Unreadable(HOSTILE[1], f"it is {HOSTILE[2]}")
    return swept(path, plan=Plan([Point("base", BASE), evil], [unread]))


def printed(result: SweepResult) -> str:
    out = io.StringIO()
    Console(file=out, width=300).print(terminal(document(result)))
    return out.getvalue()


def test_no_name_becomes_markup_in_any_form(found: SweepResult) -> None:
    html, text = page(document(found)), markdown(document(found))

    assert HOSTILE[0] not in html
    assert HOSTILE[1] not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert(1)" not in text
    assert "<img" not in text
    assert HOSTILE[0] in printed(found)


def test_every_form_shows_what_to_do_and_every_policy_with_its_doubt(found: SweepResult) -> None:
    for shown in (page(document(found)), markdown(document(found)), printed(found)):
        assert "What to do" in shown
        assert "How much to explore" in shown
        assert "Failed: it is a|b" in shown.replace("\\|", "|").replace("\\", "")
        assert "Largest weight" in shown
        assert "ESS" in shown


def test_what_is_written_is_read_back(found: SweepResult) -> None:
    data = write_sweep(found)

    assert is_sweep(data)
    assert read_sweep(data, "r.json") == admitted_sweep(found)
    assert write_sweep(read_sweep(data, "r.json")) == data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "has format 9; this version reads 1"),
        ({"tried": 1}, "is not a result of sweep"),
        ({"advised": "maybe"}, "is not a result of sweep"),
    ],
)
def test_another_version_or_a_damaged_file_is_refused(
    found: SweepResult, change: dict[str, object], said: str
) -> None:
    tree = {**json.loads(write_sweep(found)), **change}

    with pytest.raises(InvalidInput, match=said):
        read_sweep(json.dumps(tree).encode(), "r.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"kind": 1}', b'{"format": 1}'])
def test_what_is_no_sweep_is_told_apart(data: bytes) -> None:
    assert not is_sweep(data)


def test_a_value_without_an_interval_is_withheld(found: SweepResult) -> None:
    first = found.tried[0]
    assert first.estimate is not None
    bare = msgspec.structs.replace(first.estimate, intervals=[])
    tried = [msgspec.structs.replace(first, estimate=bare), *found.tried[1:]]

    shown = admitted_sweep(msgspec.structs.replace(found, tried=tried)).tried[0].estimate

    assert shown is not None
    assert (shown.value, shown.status) == (None, "unanswerable")


def test_a_number_that_is_none_is_refused(found: SweepResult) -> None:
    assert found.advice is not None
    options = [msgspec.structs.replace(o, even=float("nan")) for o in found.advice.options]
    advice = msgspec.structs.replace(found.advice, options=options)

    with pytest.raises(EvaluationError, match=r"options\[0\].even is nan"):
        write_sweep(msgspec.structs.replace(found, advice=advice))
