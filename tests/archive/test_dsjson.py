"""What Vowpal Wabbit itself makes of an export, beside what it makes of the service's own lines."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pylibvw
import pytest
import vowpalwabbit
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from bandit_service.archive.dsjson import line_of
from bandit_service.archive.export import Tally, write_examples
from bandit_service.archive.times import Span
from bandit_service.catalog.model import Scalar, Variant
from bandit_service.events.entries import Decision, PlacementChanged, Position, encode
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.settings import SiteSettings
from tests.world import QUICK, World, a_decision, busy_world

HOSTILE = (
    "_text",
    "_label_cost",
    "_multi",
    "_",
    'quo"te',
    "back\\slash",
    "a|b",
    "|a x",
    "a:3",
    "a b\tc\nd",
    "{}",
    "]},",
    "\x00\x7fx",
    "é ☃ 🎬",
    "",
    "12",
    "shared",
    "%20",
    "a=b",
)
"""Names and values that mean something to VW's text, to its JSON, or to JSON itself."""


ALL = Span()


def hostile_world() -> World:
    world = World()
    for n, text in enumerate(HOSTILE):
        named = text or "empty"
        answer = world.decide(
            placement=named,
            traits={named: [text, text, "x"], "genres": ["romantic"]},
            context={named: text, "device": text},
            candidates=[
                {"id": named, "headline": "A", "tags": [named], "attributes": {named: text}},
                {"id": "other", "headline": text or "B"},
            ],
        )
        if n % 2:
            world.report(answer.decision, "click")
        world.pass_time(1)
    return ended(world)


def ended(world: World) -> World:
    """The world after every window has ended, and the log's clock with them."""
    world.pass_time(60)
    world.put("the-end", 1)
    return world


def exported(world: World, settings: SiteSettings = QUICK, span: Span = ALL) -> tuple[bytes, Tally]:
    out, tally = io.BytesIO(), Tally()
    write_examples(world.rows(), out, settings, span, tally)
    return out.getvalue(), tally


def parsed(data: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in data.splitlines()]


def learned(world: World, settings: SiteSettings = QUICK) -> list[Outcome]:
    """The outcomes that the service's own fold learned from, in order."""
    fold = SiteFold(settings)
    closed = [o for position, entry in world.entries() for o in fold.apply(position, entry)]
    fold.close()
    return [outcome for outcome in closed if outcome.kind != "censored"]


def text_of(world: World, outcome: Outcome) -> str:
    """An outcome in VW's text format, labelled as the export labels it."""
    decision = outcome.decision
    if decision.inline is not None:
        lines = [action_line(decision.placement, (), variant) for variant in decision.inline]
    else:
        placement = next(
            e.placement
            for _, e in world.entries()
            if isinstance(e, PlacementChanged)
            and (e.placement.id, e.placement.revision) == (decision.placement, decision.revision)
        )
        variants = {v.arm: v for v in placement.variants}
        lines = [action_line(placement.id, placement.tags, variants[a]) for a in decision.arms]
    label = f"0:{0.0 - outcome.reward!r}:{decision.propensity!r} "
    lines[decision.chosen] = label + lines[decision.chosen]
    return "\n".join([shared_line(decision.persona, decision.traits, decision.context), *lines])


Readers = tuple[vowpalwabbit.Workspace, vowpalwabbit.Workspace]


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """VW for decision-service JSON, and for its own text."""
    both = tuple(
        vowpalwabbit.Workspace(f"--cb_explore_adf --quiet --strict_parse {kind}")
        for kind in ("--dsjson", "")
    )
    yield both
    for vw in both:
        vw.finish()


def alike(readers: Readers, json: str, text: str) -> bool:
    """Whether VW reads the same features to the hash, and the same labels."""
    one, other = (read_by(vw, said) for vw, said in zip(readers, (json, text), strict=True))
    return len(one) == len(other) and all(
        [named for named, _ in features] == [named for named, _ in meant]
        # VW's own reading of decimals in text differs in the last bit.
        and [w for _, w in features] == pytest.approx([w for _, w in meant], rel=2e-7)
        and labels == [pytest.approx(pair) for pair in expected]
        for (features, labels), (meant, expected) in zip(one, other, strict=True)
    )


def read_by(vw: vowpalwabbit.Workspace, text: str) -> list[Any]:
    """Features ((namespace, hash), value) and labels (cost, probability) of every line."""
    examples = vw.parse(text)
    seen = []
    for example in examples:
        spaces = [example.namespace(n) for n in range(example.num_namespaces())]
        features = sorted(
            (
                (space, pylibvw.example.feature(example, space, n)),
                pylibvw.example.feature_weight(example, space, n),
            )
            for space in spaces
            for n in range(pylibvw.example.num_features_in(example, space))
        )
        costs = example.get_label(vowpalwabbit.LabelType.CONTEXTUAL_BANDIT).costs
        seen.append((features, [(c.cost, c.probability) for c in costs]))
    vw.finish_example(examples)
    return seen


def driven(file: Path, arguments: str) -> tuple[list[str], str]:
    """Predictions and messages of VW's own driver over a file."""
    predictions = file.with_suffix(".predictions")
    vw = vowpalwabbit.Workspace(
        f"--cb_explore_adf -d {file} -p {predictions} {arguments}", enable_logging=True
    )
    vw.finish()
    return predictions.read_text().split("\n\n"), "\n".join(vw.get_log())


@pytest.mark.parametrize("make", [hostile_world, lambda: ended(busy_world(150))])
def test_vw_reads_the_same_features_labels_and_hashes_as_from_the_services_own_lines(
    make: Any, readers: Readers
) -> None:
    world = make()
    data, tally = exported(world)
    outcomes = learned(world)

    lines = data.decode().splitlines()

    assert len(lines) == len(outcomes) == tally.written.total() > 15
    for line, outcome in zip(lines, outcomes, strict=True):
        assert alike(readers, line, text_of(world, outcome))


@pytest.mark.parametrize("make", [hostile_world, lambda: ended(busy_world(150))])
def test_vws_driver_reads_every_line_of_the_file_without_a_word_of_complaint(
    make: Any, tmp_path: Path
) -> None:
    world = make()
    data, tally = exported(world)
    (tmp_path / "log.dsjson").write_bytes(data)
    (tmp_path / "log.txt").write_text("\n\n".join(text_of(world, o) for o in learned(world)) + "\n")

    ours, said = driven(tmp_path / "log.dsjson", "--dsjson -q pa -q pg --strict_parse")
    theirs, _ = driven(tmp_path / "log.txt", "-q pa -q pg")

    assert not re.search(r"warn|error|malformed|invalid", said, re.IGNORECASE), said
    assert re.search(rf"number of examples = {tally.written.total()}\b", said), said
    assert len([p for p in ours if p.strip()]) == tally.written.total()
    assert ours == theirs


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(HOSTILE)


@given(
    placement=anything,
    persona=anything,
    traits=st.dictionaries(anything, st.lists(anything, max_size=3), max_size=3),
    context=st.dictionaries(anything, anything, max_size=4),
    ids=st.lists(anything, min_size=1, max_size=4, unique=True),
    tags=st.lists(anything, max_size=3),
    headline=anything | st.lists(anything, max_size=60).map(" ".join),
    attributes=st.dictionaries(anything, anything | st.booleans() | st.integers(), max_size=3),
    reward=st.floats(-1e6, 1e6).map(lambda r: round(r, 3)),  # VW's text knows no tiny numbers
    data=st.data(),
)
@hypothesis(max_examples=150)
def test_no_name_or_value_makes_vw_read_a_line_other_than_the_services_own(
    readers: Readers,
    *,
    placement: str,
    persona: str,
    traits: dict[str, list[str]],
    context: dict[str, str],
    ids: list[str],
    tags: list[str],
    headline: str,
    attributes: dict[str, Scalar],
    reward: float,
    data: st.DataObject,
) -> None:
    variants = [
        Variant(
            id=name,
            version=1,
            headline=headline[n:],
            tags=tuple(tags[:n]),
            attributes=attributes if n else {},
        )
        for n, name in enumerate(ids)
    ]
    chosen = data.draw(st.integers(0, len(ids) - 1))
    decision = a_decision(
        id="A" * 32,
        placement=placement,
        revision=0,
        arms=[variant.arm for variant in variants],
        probabilities=[1 / len(ids)] * len(ids),
        chosen=chosen,
        persona=persona,
        confidence=1.0,
        traits=traits,
        context=context,
    )
    lines = [shared_line(persona, traits, context)]
    lines += [action_line(placement, tags, variant) for variant in variants]
    outcome = Outcome(decision, "rewarded", reward, 1, Position(1, 0))

    written = line_of(outcome, lines)

    lines[chosen + 1] = f"0:{0.0 - reward!r}:{decision.propensity!r} {lines[chosen + 1]}"
    assert written.count(b"\n") == 1
    assert alike(readers, written.decode(), "\n".join(lines))


def test_what_differs_is_not_called_alike(readers: Readers) -> None:
    world = hostile_world()
    line = exported(world)[0].decode().splitlines()[0]
    text = text_of(world, learned(world)[0])

    assert alike(readers, line, text)
    assert not alike(readers, line.replace("persona=romantic", "persona=comedy", 1), text)
    assert not alike(readers, line.replace('"_label_cost":-1.0', '"_label_cost":0.5'), text)
    assert not alike(readers, line.replace('{"_text":"', '{"_x":"', 1), text)
    assert not alike(readers, line.replace('"a":1.0', '"a":0.9999', 1), text)
    assert not alike(readers, line.replace('"a":1.0', '"b":1.0', 1), text)


def test_a_broken_line_would_have_been_complained_of(tmp_path: Path) -> None:
    data, _ = exported(hostile_world())
    (tmp_path / "log.dsjson").write_bytes(data.replace(b'"_multi"', b'_multi"', 1))

    _, said = driven(tmp_path / "log.dsjson", "--dsjson")

    assert re.search("error", said)


def test_a_line_says_cost_propensity_and_the_chosen_action_first() -> None:
    world = ended(busy_world(60))
    by_id = {e.id: e for _, e in world.entries() if isinstance(e, Decision)}

    examples = parsed(exported(world)[0])

    assert {e["_label_cost"] for e in examples} == {0.0, -1.0}
    assert any(e["_labelIndex"] for e in examples)
    for example in examples:
        decision = by_id[example["EventId"]]
        assert example["_labelIndex"] == decision.chosen
        assert example["_label_Action"] == example["a"][0] == decision.chosen + 1
        assert example["_label_probability"] == example["p"][0] == decision.propensity
        assert sorted(example["a"]) == list(range(1, len(decision.arms) + 1))
        assert [example["p"][example["a"].index(n + 1)] for n in range(len(decision.arms))] == (
            decision.probabilities
        )
        assert len(example["c"]["_multi"]) == len(decision.arms)
        assert example["VWState"] == {"m": decision.snapshot}


def test_a_cost_of_nothing_is_not_minus_zero() -> None:
    assert b"-0.0" not in exported(ended(busy_world(30)))[0]


def test_no_pseudonym_is_in_an_example() -> None:
    world = ended(busy_world(60))
    visitors = {e.visitor for _, e in world.entries() if isinstance(e, Decision) and e.visitor}

    data, _ = exported(world)

    assert visitors
    assert not any(visitor.encode() in data for visitor in visitors)


def test_held_out_decisions_are_exported_marked_and_counted() -> None:
    settings = msgspec.structs.replace(
        QUICK, policy=msgspec.structs.replace(QUICK.policy, holdout=0.5)
    )
    world = ended(busy_world(100, settings=settings))

    data, tally = exported(world, settings)

    marked = [e for e in parsed(data) if e["bandit"]["holdout"]]
    assert 0 < len(marked) == tally.held_out < tally.written.total()


def test_what_teaches_nothing_is_left_out_and_counted_by_its_reason() -> None:
    world = World(QUICK)
    first = world.decide(visitor="ann")
    world.decide(visitor="ann")
    world.log.append(world.rows()[-1][1])  # delivered twice
    shown = first.variant.id
    world.decide(visitor="ann", exclude=[shown])  # cannot show the same arm again
    world.report(first.decision, "click", id="c1")
    world.report(first.decision, "click", id="c1")
    world.pass_time(60)
    world.decide()

    data, tally = exported(world)

    (example,) = parsed(data)
    assert (example["EventId"], example["bandit"]["views"]) == (first.decision, 2)
    assert {name: count for name, count in tally.left_out.items() if count} == {
        "repeated_views": 1,
        "duplicate_decisions": 1,
        "switched_views": 1,
        "duplicate_events": 1,
        "open": 1,
    }


def test_decisions_that_nobody_saw_are_left_out_where_decisions_count_when_seen() -> None:
    settings = msgspec.structs.replace(
        QUICK, rewards=msgspec.structs.replace(QUICK.rewards, counts="seen")
    )
    world = World(settings)
    seen = world.decide()
    world.report(seen.decision, "impression")
    world.decide()
    ended(world)

    data, tally = exported(world, settings)

    assert [e["EventId"] for e in parsed(data)] == [seen.decision]
    assert tally.left_out["censored"] == 1
    assert exported(world)[1].written == {"defaulted": 2}  # under other settings both count


def test_candidates_that_the_log_does_not_describe_are_left_out_and_counted() -> None:
    world = World()
    world.decide()
    decision = next(e for _, e in world.entries() if isinstance(e, Decision))
    odd = msgspec.structs.replace(decision, id="A" * 32, revision=77)
    world.log.append(encode(odd))
    ended(world)

    data, tally = exported(world)

    assert [e["EventId"] for e in parsed(data)] == [decision.id]
    assert tally.left_out["unknown"] == 1


def test_a_span_cuts_no_decision_off_from_what_followed_it() -> None:
    world = World()
    day = world.now
    late = world.decide()
    world.pass_time(3)
    world.report(late.decision, "click")
    after = world.decide()
    ended(world)

    first, _ = exported(world, span=Span(day, day + 1_000))
    rest, tally = exported(world, span=Span(since=day + 1_000))

    assert [(e["EventId"], e["_label_cost"]) for e in parsed(first)] == [(late.decision, -1.0)]
    assert [e["EventId"] for e in parsed(rest)] == [after.decision]
    assert tally.left_out["open"] == 0


def test_the_export_of_a_growing_log_begins_with_the_export_of_its_beginning() -> None:
    world = busy_world(60)
    before, _ = exported(world)
    for _ in range(20):
        world.pass_time(0.5)
        world.visit({"h1": 0.5})

    assert exported(ended(world))[0].startswith(before)
