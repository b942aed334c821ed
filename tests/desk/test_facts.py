"""Facts in a form: what is shown is read back as the same, of the same type."""

from __future__ import annotations

import pytest

from bandit_service.catalog.model import Scalar
from bandit_service.web.desk.fields import Wrong, attributes, typed, written_attributes

FACTS: dict[str, Scalar] = {
    "faces": 2,
    "ratio": 1.0,
    "small": 1e-07,
    "largest": 2**63 - 1,
    "bright": True,
    "by": "Ada",
    "says": "x = y",
    "nothing": "",
    "year": "2024",
    "answer": "true",
    "power": "1e5",
    "spaced": " a ",
    "quoted": '"a"',
    "half": 'b"',
    "lines": "a\nb",
    "returned": "a\rb",
    "back": "\\",
    "a = b": "c",
    " padded ": 1,
    '"name"': 1,
    "two\nlines": 1,
}


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_is_read_back_as_it_was_written(name: str) -> None:
    fact = {name: FACTS[name]}

    found = attributes(written_attributes(fact))

    assert found == fact
    assert type(found[name]) is type(fact[name])


def test_all_facts_are_read_back_together() -> None:
    assert attributes(written_attributes(FACTS)) == FACTS


def test_what_is_plain_is_written_plainly() -> None:
    assert written_attributes({"faces": 2, "bright": True, "by": "Ada L."}) == (
        "faces = 2\nbright = true\nby = Ada L."
    )


@pytest.mark.parametrize(
    "lines", ["faces", "= 2", '"faces" 2', "a = 1\na = 2", "[" * 100_000, '"' + "\\" * 100_001]
)
def test_what_is_no_fact_is_refused_with_its_line(lines: str) -> None:
    with pytest.raises(Wrong, match=r"Line [12] ") as refused:
        attributes(lines)

    assert refused.value.field == "attributes"


def test_brackets_are_text() -> None:
    assert attributes("a = " + "[" * 100_000) == {"a": "[" * 100_000}


def test_no_facts_that_the_catalog_takes_are_cut() -> None:
    largest = {f"{n:064}": '"' * 1_000 for n in range(32)}

    lines = typed({"attributes": written_attributes(largest)}, ["attributes"])["attributes"]

    assert attributes(lines) == largest
