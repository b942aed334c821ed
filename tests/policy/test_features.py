import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_service.catalog.model import Variant
from bandit_service.policy.features import action_line, escape, feature, shared_line

anything = st.text(st.characters(exclude_categories=()), max_size=30)
"""Any text that JSON can carry, lone surrogates included."""
SAFE = re.compile(r"[A-Za-z0-9_.~%/=@-]+")


@given(anything, anything)
@settings(max_examples=500)
def test_escaping_is_injective(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(anything, anything, anything, anything)
@settings(max_examples=300)
def test_two_different_features_are_never_written_alike(a: str, b: str, c: str, d: str) -> None:
    assert (feature(a, b) == feature(c, d)) == ((a, b) == (c, d))


@given(
    anything,
    st.dictionaries(anything, st.lists(anything, max_size=3), max_size=3),
    st.dictionaries(anything, anything, max_size=4),
)
@settings(max_examples=500)
def test_no_input_adds_a_line_a_namespace_or_a_feature_to_the_shared_line(
    persona: str, traits: dict[str, list[str]], context: dict[str, str]
) -> None:
    line = shared_line(persona, traits, context)

    words = line.split(" ")
    namespaces = [word for word in words if word.startswith("|")]
    features = [word for word in words[1:] if not word.startswith("|")]
    assert words[0] == "shared"
    assert set(namespaces) <= {"|p", "|t", "|v", "|s"}
    assert len(namespaces) == len(set(namespaces))
    assert len(features) == 1 + sum(len(values) for values in traits.values()) + len(context)
    assert all(SAFE.fullmatch(word) for word in features)


@given(anything, st.lists(anything, max_size=4), st.dictionaries(anything, anything, max_size=3))
@settings(max_examples=500)
def test_no_input_adds_a_line_a_namespace_or_a_label_to_a_candidates_line(
    name: str, tags: list[str], attributes: dict[str, str]
) -> None:
    variant = Variant(id=name, version=3, tags=tuple(tags), attributes=dict(attributes))

    line = action_line(name, tags, variant)

    words = line.split(" ")
    assert words[0] == "|a"
    assert words.count("|a") + words.count("|g") == sum(word.startswith("|") for word in words)
    rest = [word for word in words if not word.startswith("|")]
    assert len(rest) == 1 + 2 * len(tags) + len(attributes)
    assert all(SAFE.fullmatch(word) for word in rest)


def test_versions_of_a_variant_are_different_arms_with_the_same_tags() -> None:
    one = action_line("film", ["drama"], Variant(id="v", version=1, tags=("warm",)))
    two = action_line("film", ["drama"], Variant(id="v", version=2, tags=("warm",)))

    assert one.split(" |g ")[0] != two.split(" |g ")[0]
    assert one.split(" |g ")[1] == two.split(" |g ")[1] == "content=drama tag=warm"


def test_a_number_and_its_text_are_different_attributes_from_true() -> None:
    lines = {
        action_line("film", [], Variant(id="v", version=1, attributes={"faces": value}))
        for value in (True, "false", 1, 2.5)
    }

    assert len(lines) == 4


def test_the_order_of_keys_does_not_change_the_shared_line() -> None:
    one = shared_line("p", {"a": ["1"], "b": ["2"]}, {"x": "1", "seen": "0", "y": "2"})
    two = shared_line("p", {"b": ["2"], "a": ["1"]}, {"y": "2", "x": "1", "seen": "0"})

    assert one == two == "shared |p persona=p |t a=1 b=2 |v seen=0 |s x=1 y=2"
