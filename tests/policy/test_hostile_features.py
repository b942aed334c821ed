"""Vowpal Wabbit itself reads what we write: it finds the features that were meant, and no others.

Names and values here are whatever JSON can carry, Vowpal Wabbit's own syntax first. What it read is
compared by the hash of each feature, which is all that it keeps of a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pylibvw
import pytest
import vowpalwabbit
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_service.catalog.model import Scalar, Variant
from bandit_service.policy.features import (
    VISITOR_KEYS,
    WORDS,
    action_line,
    escape,
    identity_of,
    persona_of,
    shared_line,
)
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.model import Model, open_model
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.vowpal import arguments

SYNTAX = (
    *("|", "|a x", " |p persona=root", ":", "a:5", "x:1e9 ", "shared", "shared |p", "0:1:0.5 |a b"),
    *("\n", "\n\n", "\r\n", "\t", "\x00", "'", "'tag", '"', "=", "%", "%7C", "a=b", "@2", "/"),
    *(
        "\u2028",
        "\x85",
        "\ud800",
        "🎬",
        "",
        " ",
        "seen",
        "last",
        "persona",
        "tag",
        "is.x",
        "1",
        "01",
    ),
)
hostile = st.sampled_from(SYNTAX) | st.text(st.characters(exclude_categories=()), max_size=12)
glued = st.lists(hostile, min_size=1, max_size=3).map("".join)
traits = st.dictionaries(glued, st.lists(glued, max_size=3), max_size=3)
contexts = st.dictionaries(glued, glued, max_size=4)
scalars = glued | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
variants = st.builds(
    Variant,
    id=glued,
    version=st.integers(0, 2**32),
    headline=st.none() | glued | st.lists(glued, max_size=60).map(" ".join),
    image_url=st.none() | glued,
    alt=st.none() | glued,
    tags=st.lists(glued, max_size=3).map(tuple),
    attributes=st.dictionaries(glued, scalars, max_size=3),
)
SETTINGS = PolicySettings(exploration="squarecb", learning_rate=0.1, typical_reward=0.2, bits=20)
POOLED = PolicySettings(learning_rate=0.1, typical_reward=0.2, bits=20)
MODELS = pytest.mark.parametrize("policy", [SETTINGS, POOLED], ids=["squarecb", "thompson"])
MOST_WORDS = 40
STRIDE = 2
"""Vowpal Wabbit keeps four numbers a weight, so indexes are hashes shifted by two bits."""
CONSTANT = 128
"""The namespace of the constant that Vowpal Wabbit adds to every example."""


class Read(NamedTuple):
    """What Vowpal Wabbit made of one line."""

    features: dict[str, list[tuple[int, float]]]
    """By namespace, hash and weight of each feature, in order of the hash."""
    tag: str


class Reader:
    """Vowpal Wabbit as the reader of lines alone."""

    def __init__(self) -> None:
        # What is ignored is not even read; the regression reads the words.
        everything = arguments(SETTINGS).replace(f"--ignore {WORDS}", "")
        self._vw = vowpalwabbit.Workspace(f"{everything} --quiet")

    def read(self, lines: Sequence[str]) -> list[Read]:
        """What it finds in ``lines``, handed over the way the model hands them over."""
        examples = pylibvw.vw._parse(self._vw, "\n".join(lines))
        found = [self._read(example) for example in examples]
        pylibvw.vw._finish_example_multi_ex(self._vw, examples)
        return found

    def _read(self, example: Any) -> Read:
        spaces = [example.namespace(n) for n in range(example.num_namespaces())]
        features = {
            chr(space): sorted(
                (example.feature(space, n) >> STRIDE, round(example.feature_weight(space, n), 5))
                for n in range(example.num_features_in(space))
            )
            for space in spaces
            if space != CONSTANT
        }
        return Read(features, example.get_tag())

    def meant(self, families: dict[str, list[str]]) -> Read:
        """What it should find: these features by namespace; of words the squares add up to 1."""
        features = {space: self._hashed(space, names) for space, names in families.items() if names}
        return Read(features, "")

    def _hashed(self, space: str, names: list[str]) -> list[tuple[int, float]]:
        seed = self._vw.hash_space(space)
        weight = float(f"{len(names) ** -0.5:.4g}") if space == "w" else 1.0
        return sorted((self._vw.hash_feature(name, seed), round(weight, 5)) for name in names)

    def close(self) -> None:
        self._vw.finish()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


def pair(name: str, value: str) -> str:
    return f"{escape(name)}={escape(value)}"


def of_shared(persona: str, given: dict[str, list[str]], context: dict[str, str]) -> dict[str, Any]:
    return {
        "p": [pair("persona", persona)],
        "t": [pair(k, v) for k, values in given.items() for v in values],
        "v": [pair(k, v) for k, v in context.items() if k in VISITOR_KEYS],
        "s": [pair(k, v) for k, v in context.items() if k not in VISITOR_KEYS],
    }


def written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_action(placement: str, tags: Sequence[str], variant: Variant) -> dict[str, Any]:
    described = [pair("tag", tag) for tag in variant.tags] + [pair("content", tag) for tag in tags]
    described += [pair(f"is.{k}", written(v)) for k, v in variant.attributes.items()]
    inside = escape(variant.id).replace("/", "%2F")
    letters = "".join(c if c.isalnum() else " " for c in (variant.headline or "").lower())
    words = list(dict.fromkeys(letters.split()))[:MOST_WORDS]
    return {
        "a": [f"{escape(placement)}/{inside}@{variant.version}"],
        "g": described,
        "w": [escape(word) for word in words],
    }


@given(glued, traits, contexts, glued, st.lists(glued, max_size=2), st.lists(variants, max_size=4))
@settings(max_examples=250)
def test_vowpal_wabbit_reads_the_features_that_were_meant_and_no_others(
    reader: Reader,
    persona: str,
    traits: dict[str, list[str]],
    context: dict[str, str],
    placement: str,
    tags: list[str],
    candidates: list[Variant],
) -> None:
    # given
    lines = [action_line(placement, tags, variant) for variant in candidates]

    # when
    found = reader.read([shared_line(persona, traits, context), *lines])

    # then there is one example a line, and each holds its own features
    assert found == [
        reader.meant(of_shared(persona, traits, context)),
        *(reader.meant(of_action(placement, tags, variant)) for variant in candidates),
    ]


def same(one: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Traits as what they say: each value under its name, in no order."""
    return sorted((k, v) for k, values in one.items() for v in values)


@given(glued, traits, contexts, glued, traits, contexts)
@settings(max_examples=300)
def test_two_visitors_who_differ_are_written_differently(
    p1: str,
    t1: dict[str, list[str]],
    c1: dict[str, str],
    p2: str,
    t2: dict[str, list[str]],
    c2: dict[str, str],
) -> None:
    alike = (p1, same(t1), c1) == (p2, same(t2), c2)

    assert (shared_line(p1, t1, c1) == shared_line(p2, t2, c2)) == alike


@given(glued, glued, st.integers(0, 99), glued, glued, st.integers(0, 99))
@settings(max_examples=300)
def test_two_arms_are_never_written_alike(
    p1: str, v1: str, n1: int, p2: str, v2: str, n2: int
) -> None:
    def identity(placement: str, variant: str, version: int) -> str:
        return action_line(placement, [], Variant(id=variant, version=version))

    assert (identity(p1, v1, n1) == identity(p2, v2, n2)) == ((p1, v1, n1) == (p2, v2, n2))


@given(glued, glued, st.integers(0, 99), glued, glued, st.integers(0, 99))
@settings(max_examples=300)
def test_sums_are_kept_of_the_placement_and_the_variant_that_were_meant(
    p1: str, v1: str, n1: int, p2: str, v2: str, n2: int
) -> None:
    def kept(placement: str, variant: str, version: int) -> tuple[str, str]:
        described = Variant(id=variant, version=version, headline="|a x", tags=("/", "b@1"))
        return identity_of(action_line(placement, ["/"], described))

    (place1, arm1), (place2, arm2) = kept(p1, v1, n1), kept(p2, v2, n2)
    assert (place1 == place2) == (p1 == p2)
    assert (arm1 == arm2) == ((v1, n1) == (v2, n2))


@given(glued, traits, contexts, glued, traits, contexts)
@settings(max_examples=200)
def test_sums_are_kept_of_the_persona_that_was_meant(
    p1: str,
    t1: dict[str, list[str]],
    c1: dict[str, str],
    p2: str,
    t2: dict[str, list[str]],
    c2: dict[str, str],
) -> None:
    one, other = persona_of(shared_line(p1, t1, c1)), persona_of(shared_line(p2, t2, c2))

    assert (one == other) == (p1 == p2)


# -- neighbours

VICTIM = shared_line("romantic", {"genres": ["romance"]}, {"device": "phone", "seen": "0"})
ARMS = [
    action_line("film", ["drama"], Variant(id=name, version=1, tags=("warm",)))
    for name in ("kiss", "joke", "chase")
]

OTHER = shared_line("comedy", {}, {"device": "tv"})
HARMLESS = action_line("film", [], Variant(id="other", version=1))


def taught(policy: PolicySettings) -> Model:
    model = open_model(policy)
    for n in range(20):
        model.learn(Lesson(VICTIM, ARMS, n % 3, float(n % 3 == 0)))
    return model


@MODELS
@given(glued, traits, contexts, variants, st.integers(0, 2))
@settings(max_examples=40)
def test_a_hostile_neighbour_changes_nothing_of_another_example(
    policy: PolicySettings,
    persona: str,
    traits: dict[str, list[str]],
    context: dict[str, str],
    neighbour: Variant,
    chosen: int,
) -> None:
    # given two models of the same past
    plain, troubled = taught(policy), taught(policy)
    before = plain.predict(VICTIM, ARMS)
    odd = action_line(neighbour.id, [*neighbour.tags], neighbour)
    stranger = shared_line(persona, traits, context)

    # when one of them looks at a harmless candidate and visitor, and one at hostile ones
    plain.predict(VICTIM, [*ARMS, HARMLESS])
    plain.predict(OTHER, [HARMLESS, *ARMS])
    beside = troubled.predict(VICTIM, [*ARMS, odd])
    troubled.predict(stranger, [odd, *ARMS])

    # then the others are worth what they were, beside it and after
    assert beside.rewards[: len(ARMS)] == before.rewards
    assert troubled.predict(VICTIM, ARMS).rewards == before.rewards
    assert plain.predict(VICTIM, ARMS).rewards == before.rewards

    # and what is learned beside a hostile candidate is what is learned beside a harmless one
    plain.learn(Lesson(VICTIM, [*ARMS, HARMLESS], chosen, 1.0))
    troubled.learn(Lesson(VICTIM, [*ARMS, odd], chosen, 1.0))
    assert troubled.predict(VICTIM, ARMS).rewards == plain.predict(VICTIM, ARMS).rewards
    plain.close()
    troubled.close()


@MODELS
@given(glued, traits, contexts, variants)
@settings(max_examples=20)
def test_what_one_site_learns_is_unknown_to_another(
    policy: PolicySettings,
    persona: str,
    traits: dict[str, list[str]],
    context: dict[str, str],
    variant: Variant,
) -> None:
    # given
    ours, theirs = taught(policy), taught(policy)
    before = ours.predict(VICTIM, ARMS)
    line = action_line("film", [*variant.tags], variant)

    # when the other site learns from anything, and of our very candidates
    theirs.learn(Lesson(shared_line(persona, traits, context), [line], 0, 1.0))
    theirs.learn(Lesson(VICTIM, ARMS, 1, 1.0))

    # then
    after = ours.predict(VICTIM, ARMS)
    assert (after.rewards, after.probabilities) == (before.rewards, before.probabilities)
    ours.close()
    theirs.close()
