from base64 import urlsafe_b64encode
from collections import Counter
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_service.events.entries import (
    DEFAULT_SHOWN,
    IF_SEEN,
    PREFETCHED,
    Decision,
    Entry,
    Event,
    Position,
    Tick,
)
from bandit_service.outcomes.join import LATEST_MS, Join, Outcome
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.outcomes.units import JoinState
from tests.world import a_decision

WINDOW = 10_000
SLOT = 30_000
Log = list[tuple[Position, Entry]]


def decision(
    name: str,
    at: int = 0,
    *,
    visitor: str | None = None,
    slot: int = 0,
    chosen: int = 0,
    flag: str | None = None,
) -> Decision:
    return a_decision(
        flags=[] if flag is None else [flag],
        id=name,
        at=at,
        arms=["a@1", "b@1"],
        probabilities=[0.5, 0.5],
        chosen=chosen,
        reason="learned",
        visitor=visitor,
        slot=None if visitor is None else slot,
        slot_ms=0 if visitor is None else SLOT,
    )


def event(
    name: str, kind: str = "click", *, value: float | None = None, key: str | None = None
) -> Event:
    return Event(decision=name, type=kind, at=0, received=0, value=value, id=key)


def join(**rewards: object) -> Join:
    made = msgspec.convert({"window_seconds": WINDOW / 1000, **rewards}, RewardSettings)
    return Join(made)


def run(fold: Join, *entries: tuple[int, Entry]) -> list[Outcome]:
    return [
        outcome
        for seq, (ms, entry) in enumerate(entries)
        for outcome in fold.apply(Position(ms, seq), entry)
    ]


def test_a_click_in_time_closes_its_decision_as_rewarded_at_once() -> None:
    (outcome,) = run(join(), (0, decision("d")), (500, event("d")))

    assert (outcome.kind, outcome.reward, outcome.decision.id) == ("rewarded", 1.0, "d")
    assert outcome.closed == Position(500, 1)


def test_a_decision_without_a_reward_closes_with_the_default_when_its_window_ends() -> None:
    fold = join(default_reward=-0.1)

    outcomes = run(fold, (0, decision("d")), (WINDOW, Tick(at=0)), (WINDOW + 1, Tick(at=0)))

    assert [(o.kind, o.reward, o.closed.ms) for o in outcomes] == [("defaulted", -0.1, WINDOW + 1)]


def test_a_late_click_is_counted_and_changes_nothing() -> None:
    fold = join()

    outcomes = run(fold, (0, decision("d")), (WINDOW + 1, event("d")), (WINDOW + 2, event("d")))

    assert [o.kind for o in outcomes] == ["defaulted"]
    assert fold.counts.late_events == 2


def test_a_second_click_on_a_closed_decision_counts_as_late() -> None:
    fold = join()

    outcomes = run(fold, (0, decision("d")), (1, event("d")), (2, event("d")))

    assert len(outcomes) == 1
    assert fold.counts.late_events == 1


def test_an_event_with_the_same_id_counts_once() -> None:
    fold = join(aggregation="sum")

    (outcome,) = run(
        fold,
        (0, decision("d")),
        (1, event("d", key="x")),
        (2, event("d", key="x")),
        (3, event("d", key="y")),
        (WINDOW + 1, Tick(at=0)),
    )

    assert outcome.reward == 2.0
    assert fold.counts.duplicate_events == 1


@pytest.mark.parametrize(("aggregation", "reward"), [("max", 0.9), ("min", 0.2), ("mean", 0.55)])
def test_aggregations_other_than_earliest_wait_for_the_end_of_the_window(
    aggregation: str, reward: float
) -> None:
    (outcome,) = run(
        join(aggregation=aggregation),
        (0, decision("d")),
        (1, event("d", "watch", value=0.9)),
        (2, event("d", "watch", value=0.2)),
        (WINDOW + 1, Tick(at=0)),
    )

    assert outcome.reward == pytest.approx(reward)
    assert outcome.closed.ms == WINDOW + 1


def test_where_decisions_count_when_seen_an_unseen_one_is_censored() -> None:
    fold = join(counts="seen")

    outcomes = run(
        fold,
        (0, decision("unseen")),
        (0, decision("seen")),
        (1, event("seen", "impression")),
        (WINDOW + 5, Tick(at=0)),
    )

    assert {o.decision.id: o.kind for o in outcomes} == {"unseen": "censored", "seen": "defaulted"}


def kinds(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.decision.id: outcome.kind for outcome in outcomes}


def test_a_page_that_reports_what_was_seen_has_its_unseen_decisions_censored() -> None:
    fold = join(counts="answered")

    outcomes = run(
        fold,
        (0, decision("below", flag=IF_SEEN)),
        (0, decision("in view", flag=IF_SEEN)),
        (0, decision("of a server")),
        (1, event("in view", "impression")),
        (WINDOW + 5, Tick(at=0)),
    )

    assert kinds(outcomes) == {
        "below": "censored",
        "in view": "defaulted",
        "of a server": "defaulted",
    }


@pytest.mark.parametrize("counts", ["answered", "seen"])
@pytest.mark.parametrize("flag", [None, IF_SEEN])
def test_a_view_whose_page_kept_its_own_content_teaches_nothing(
    counts: str, flag: str | None
) -> None:
    fold = join(counts=counts)

    outcomes = run(
        fold,
        (0, decision("d", flag=flag)),
        (400, event("d", DEFAULT_SHOWN)),
        (900, event("d", "impression")),
        (1_000, event("d", "click")),
        (WINDOW + 5, Tick(at=0)),
    )

    assert [(o.kind, o.reward, o.views) for o in outcomes] == [("censored", 0.0, 0)]
    assert (fold.counts.defaults_shown, fold.counts.void_events) == (1, 2)


def test_that_a_default_was_shown_counts_once_however_often_it_is_told() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("first", visitor="v")),
        (1, decision("second", 1, visitor="v")),
        (2, event("first", DEFAULT_SHOWN, key="x")),
        (3, event("first", DEFAULT_SHOWN, key="x")),
        (4, event("first", DEFAULT_SHOWN)),
        (60_000, Tick(at=0)),
    )

    assert [(o.kind, o.views) for o in outcomes] == [("defaulted", 1)]
    assert fold.counts.defaults_shown == 1


def test_a_view_that_was_shown_counts_beside_one_that_came_too_late() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("late", visitor="v", flag=IF_SEEN)),
        (400, event("late", DEFAULT_SHOWN)),
        (5_000, decision("in time", 5_000, visitor="v", flag=IF_SEEN)),
        (6_000, event("in time", "click")),
        (6_500, event("late", "click")),
    )

    assert [(o.kind, o.reward, o.views) for o in outcomes] == [("rewarded", 1.0, 1)]


def test_what_was_told_before_a_default_stands() -> None:
    fold = join(aggregation="sum")

    outcomes = run(
        fold,
        (0, decision("d")),
        (1, event("d", "click")),
        (2, event("d", DEFAULT_SHOWN)),
        (3, event("d", "click")),
        (WINDOW + 5, Tick(at=0)),
    )

    assert [(o.kind, o.reward) for o in outcomes] == [("rewarded", 1.0)]


def test_what_a_mail_proxy_fetched_teaches_nothing_even_if_it_is_clicked() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("fetched", flag=PREFETCHED)),
        (0, decision("clicked", flag=PREFETCHED)),
        (1, event("clicked", "click")),
        (WINDOW + 5, Tick(at=0)),
    )

    assert kinds(outcomes) == {"fetched": "censored", "clicked": "censored"}
    assert (fold.counts.prefetched_views, fold.counts.void_events) == (2, 1)


def test_a_person_who_opens_what_was_prefetched_counts() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("fetched", visitor="v", flag=PREFETCHED)),
        (3_000, decision("opened", 3_000, visitor="v")),
        (4_000, event("opened")),
    )

    assert [(o.kind, o.decision.id, o.views) for o in outcomes] == [("rewarded", "fetched", 1)]


def test_late_answers_leave_the_estimate_of_any_policy_unbiased() -> None:
    # given two variants with rates 0.6 and 0.2, shown 0.8 and 0.2 of the time; every third answer
    # is late, and the page then shows what is the same as the first variant
    random, fold, seq = Random(3), join(), 0
    outcomes: list[Outcome] = []
    for n in range(6_000):
        chosen = int(random.random() < 0.2)
        name, late = f"d{n}", n % 3 == 0
        told = msgspec.structs.replace(decision(name, chosen=chosen), probabilities=[0.8, 0.2])
        entries: list[Entry] = [told, *([event(name, DEFAULT_SHOWN)] if late else [])]
        if random.random() < (0.6 if late or chosen == 0 else 0.2):
            entries.append(event(name, "click"))
        for entry in entries:
            seq += 1
            outcomes += fold.apply(Position(n, seq), entry)
    outcomes += fold.apply(Position(10**9, 0), Tick(at=0))

    # when the value of each variant is estimated by inverse propensities, over what teaches
    rows = [outcome for outcome in outcomes if outcome.kind != "censored"]
    values = [
        sum(r.reward / r.decision.propensity for r in rows if r.decision.chosen == arm) / len(rows)
        for arm in (0, 1)
    ]

    # then it is right within five standard errors, and the weights are those of the draw
    assert len(rows) == 4_000
    assert values[0] == pytest.approx(0.6, abs=0.05)
    assert values[1] == pytest.approx(0.2, abs=0.08)
    assert sum(1 / r.decision.propensity for r in rows) / len(rows) == pytest.approx(2.0, abs=0.2)


def test_a_view_whose_variant_could_not_be_shown_earns_nothing_and_counts() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("d", flag=IF_SEEN)),
        (900, event("d", "impression")),
        (WINDOW + 5, Tick(at=0)),
    )

    assert [(o.kind, o.reward, o.views) for o in outcomes] == [("defaulted", 0.0, 1)]
    assert fold.counts.defaults_shown == 0


def test_a_variant_that_fails_for_some_is_judged_by_all_who_met_it() -> None:
    # given two variants of one rate, of which the second cannot be shown to the slow 30 %, who
    # seldom click; the page reports that they saw its place
    random, fold, seq = Random(5), join(), 0
    outcomes: list[Outcome] = []
    for n in range(6_000):
        chosen, slow = int(random.random() < 0.5), random.random() < 0.3
        name = f"d{n}"
        entries: list[Entry] = [decision(name, chosen=chosen, flag=IF_SEEN)]
        entries.append(event(name, "impression"))
        if random.random() < (0.2 if slow else 0.6) and not (slow and chosen):
            entries.append(event(name, "click"))
        for entry in entries:
            seq += 1
            outcomes += fold.apply(Position(n, seq), entry)
    outcomes += fold.apply(Position(10**9, 0), Tick(at=0))

    # when what teaches is averaged
    rewards: tuple[list[float], list[float]] = ([], [])
    for outcome in outcomes:
        rewards[outcome.decision.chosen].append(outcome.reward)

    # then nobody is left out, and the second earns what it earned: 0.7 · 0.6, not 0.6
    assert fold.counts.censored == 0
    assert sum(rewards[0]) / len(rewards[0]) == pytest.approx(0.48, abs=0.05)
    assert sum(rewards[1]) / len(rewards[1]) == pytest.approx(0.42, abs=0.05)


def test_repeated_views_of_one_slot_are_one_unit_that_any_of_them_can_reward() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("first", visitor="v")),
        (8_000, decision("second", 8_000, visitor="v")),
        (17_000, event("second")),
        (60_000, Tick(at=0)),
    )

    assert [(o.kind, o.decision.id, o.views) for o in outcomes] == [("rewarded", "first", 2)]
    assert fold.counts.repeated_views == 1


def test_a_view_after_its_unit_closed_does_not_open_it_again_within_the_slot() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("first", visitor="v")),
        (1, event("first")),
        (20_000, decision("again", 20_000, visitor="v")),
        (20_001, event("again")),
        (60_000, Tick(at=0)),
    )

    assert [o.decision.id for o in outcomes] == ["first"]
    assert fold.counts.late_events == 1


def test_a_later_view_of_another_arm_teaches_nothing_and_its_click_rewards_nobody() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("first", visitor="v", chosen=0)),
        (1, decision("other", visitor="v", chosen=1)),
        (2, event("other")),
        (60_000, Tick(at=0)),
    )

    assert [(o.decision.id, o.kind, o.views) for o in outcomes] == [("first", "defaulted", 1)]
    assert (fold.counts.switched_views, fold.counts.late_events) == (1, 1)


def test_the_same_event_id_on_two_views_of_a_unit_is_two_events() -> None:
    fold = join(aggregation="sum")

    (outcome,) = run(
        fold,
        (0, decision("first", visitor="v")),
        (1, decision("second", visitor="v")),
        (2, event("first", key="click")),
        (3, event("second", key="click")),
        (60_000, Tick(at=0)),
    )

    assert outcome.reward == 2.0
    assert fold.counts.duplicate_events == 0


def test_a_slot_is_one_unit_by_the_length_it_was_logged_with() -> None:
    fold = join(window_seconds=1.0)

    outcomes = run(
        fold,
        *((ms, decision(f"d{ms}", ms, visitor="v")) for ms in range(0, SLOT, 3_000)),
        (10 * SLOT, Tick(at=0)),
    )

    assert [o.decision.id for o in outcomes] == ["d0"]


@pytest.mark.parametrize(("value", "reward"), [(1e6, 10.0), (-1e6, -10.0), (3.0, 3.0)])
def test_no_single_event_is_worth_more_than_the_largest_reward(value: float, reward: float) -> None:
    (outcome,) = run(join(), (0, decision("d")), (1, event("d", value=value)))

    assert outcome.reward == reward


def test_the_next_slot_is_a_unit_of_its_own() -> None:
    outcomes = run(
        join(),
        (0, decision("first", visitor="v", slot=0)),
        (1, decision("next", visitor="v", slot=1)),
        (60_000, Tick(at=0)),
    )

    assert [o.decision.id for o in outcomes] == ["first", "next"]


def issued(number: int, at: int = 0) -> str:
    """A decision id that tells when it was made."""
    return urlsafe_b64encode(at.to_bytes(6, "big") + number.to_bytes(18, "big")).decode()


D, OTHER = issued(1), issued(2)


def test_an_event_that_comes_before_its_decision_waits_for_it_within_a_window() -> None:
    fold = join()

    outcomes = run(fold, (0, event(D)), (0, event(OTHER)), (WINDOW, decision(D)))

    assert [o.kind for o in outcomes] == ["rewarded"]
    assert fold.counts.events == 2
    assert fold.counts.late_events == 0
    assert run(fold, (WINDOW + 1, Tick(at=0))) == []
    assert fold.counts.late_events == 1


def test_an_event_more_than_a_window_ahead_of_its_decision_is_late() -> None:
    fold = join()

    outcomes = run(fold, (0, event(D)), (WINDOW + 1, decision(D)), (2 * WINDOW + 9, Tick(at=0)))

    assert [o.kind for o in outcomes] == ["defaulted"]
    assert fold.counts.late_events == 1


@pytest.mark.parametrize("name", ["no id at all", issued(3, at=1)])
def test_an_event_of_a_decision_that_cannot_come_any_more_does_not_wait(name: str) -> None:
    fold = join()
    heard = msgspec.structs.replace(event(name), received=WINDOW + 2)

    run(fold, (0, heard))

    assert fold.counts.late_events == 1
    assert fold.dump().early == []


def test_events_that_wait_for_a_decision_survive_a_checkpoint_and_keep_their_ids() -> None:
    # given
    fold = join(aggregation="sum")
    run(fold, (0, event(D, key="1")), (1, event(D, key="1")), (2, event(D, key="2")))

    # when
    again = join(aggregation="sum")
    again.restore(msgspec.json.decode(msgspec.json.encode(fold.dump()), type=JoinState))
    outcomes = run(again, (3, decision(D)), (WINDOW + 4, Tick(at=0)))

    # then
    assert [(o.kind, o.reward) for o in outcomes] == [("rewarded", 2.0)]
    assert again.counts.duplicate_events == 1


def test_only_so_many_events_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bandit_service.outcomes.join.MAX_EARLY", 3)
    fold = join()

    run(fold, *((n, event(issued(n))) for n in range(5)))

    assert fold.counts.late_events == 2


def test_the_same_decision_twice_in_the_log_is_one() -> None:
    fold = join()

    outcomes = run(fold, (0, decision("d")), (1, decision("d")), (60_000, Tick(at=0)))

    assert len(outcomes) == 1
    assert fold.counts.duplicate_decisions == 1


def test_a_view_at_the_end_of_a_slot_that_is_logged_after_it_does_not_open_its_unit_again() -> None:
    fold = join()

    outcomes = run(
        fold,
        (1, decision("first", at=0, visitor="v")),
        (SLOT + 5, decision("second", at=SLOT - 1, visitor="v")),
        (3 * SLOT, Tick(at=3 * SLOT)),
    )

    assert [outcome.decision.id for outcome in outcomes] == ["first"]
    assert fold.counts.repeated_views == 1


def test_memory_is_let_go_once_slots_are_over() -> None:
    fold = join()
    for n in range(100):
        fold.apply(Position(n, 0), decision(f"d{n}", n, visitor=f"v{n}"))

    fold.apply(Position(SLOT + LATEST_MS + WINDOW, 0), Tick(at=0))

    assert fold.dump().units == []


def waited(entry: Entry, ms: int) -> Entry:
    return msgspec.structs.replace(entry, waited=ms)


HOUR = 3_600_000


def test_a_click_that_waited_on_disk_is_in_time_for_a_view_from_before_the_outage() -> None:
    fold = join()

    outcomes = run(
        fold,
        (0, decision("seen")),
        (0, decision("ignored")),
        (HOUR, waited(decision("during"), HOUR - 2_000)),
        (HOUR, waited(event("seen"), HOUR - WINDOW)),
        (HOUR, waited(event("during"), HOUR - 2_000 - WINDOW)),
        (2 * HOUR, Tick(at=0)),
    )

    assert {o.decision.id: o.kind for o in outcomes} == {
        "seen": "rewarded",
        "ignored": "defaulted",
        "during": "rewarded",
    }
    assert fold.counts.late_events == 0


def test_a_click_that_came_too_late_is_late_however_it_reached_the_log() -> None:
    fold = join()

    outcomes = run(fold, (0, decision("seen")), (HOUR, waited(event("seen"), HOUR - WINDOW - 1)))

    assert [o.kind for o in outcomes] == ["defaulted"]


def test_a_view_that_waited_on_disk_for_long_still_finds_its_unit() -> None:
    # given a visitor's view, and another within the same slot just as the log went away
    fold = join()
    outcomes = run(fold, (0, decision("first", visitor="v")))

    # when that comes an hour later, with what others did since, in that order
    outcomes += run(
        fold,
        (HOUR, waited(decision("second", visitor="v"), HOUR - 20_000)),
        (HOUR, waited(decision("stranger", visitor="w"), 9)),
        (2 * HOUR, Tick(at=0)),
    )

    # then it is a repeated view of the unit that has closed
    assert [o.decision.id for o in outcomes] == ["first", "stranger"]
    assert fold.counts.repeated_views == 1


def test_the_clock_of_the_join_never_runs_backwards() -> None:
    fold = join()

    outcomes = run(
        fold,
        (HOUR, decision("live")),
        (HOUR, waited(decision("from another machine"), HOUR)),
        (HOUR + WINDOW, Tick(at=0)),
        (HOUR + WINDOW + 1, Tick(at=0)),
    )

    assert [o.decision.id for o in outcomes] == ["live", "from another machine"]


def test_a_join_is_overdue_only_while_a_window_has_ended_unnoticed() -> None:
    fold = join()
    fold.apply(Position(0, 0), decision("d"))

    assert not fold.overdue(WINDOW)
    assert fold.overdue(WINDOW + 1)
    fold.apply(Position(WINDOW + 1, 0), Tick(at=0))
    assert not fold.overdue(WINDOW * 9)


names = st.sampled_from([f"d{n}" for n in range(6)])
decisions = st.builds(
    lambda name, visitor, slot, chosen, flag: decision(
        name, visitor=visitor, slot=slot, chosen=chosen, flag=flag
    ),
    names,
    st.sampled_from([None, "v", "w"]),
    st.integers(0, 1),
    st.integers(0, 1),
    st.sampled_from([None, IF_SEEN, PREFETCHED]),
)
happenings = st.builds(
    lambda name, kind, key: event(name, kind, key=key),
    names,
    st.sampled_from(["click", "impression", "like", DEFAULT_SHOWN]),
    st.sampled_from([None, "x", "y"]),
)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Any order, any repetition, any pauses: what a spool, a retry or a slow phone can do."""
    ms = 0
    log: Log = []
    for seq, entry in enumerate(draw(st.lists(st.one_of(decisions, happenings), max_size=30))):
        ms += draw(st.sampled_from([0, 1, 3_000, 11_000, 40_000]))
        log.append((Position(ms, seq), entry))
    log.append((Position(ms + 1_000_000, 0), Tick(at=0)))
    return log


rewards = st.fixed_dictionaries(
    {
        "aggregation": st.sampled_from(["earliest", "sum", "mean", "latest"]),
        "counts": st.sampled_from(["answered", "seen"]),
    }
)


@given(logs(), rewards)
@settings(max_examples=300, deadline=None)
def test_every_unit_closes_exactly_once_whatever_the_order(
    log: Log, kind: dict[str, object]
) -> None:
    fold = join(**kind)

    outcomes = [outcome for position, entry in log for outcome in fold.apply(position, entry)]

    counts = fold.counts
    opened = counts.decisions - counts.repeated_views - counts.switched_views
    closed = Counter(outcome.decision.id for outcome in outcomes)
    assert len(outcomes) == opened
    assert fold.counts.rewarded + fold.counts.defaulted + fold.counts.censored == opened
    logged = Counter(entry.id for _, entry in log if isinstance(entry, Decision))
    assert all(closed[name] <= logged[name] for name in closed)
    assert fold.open_units == 0
    assert all(a.closed <= b.closed for a, b in pairwise(outcomes))


@given(logs(), rewards, st.integers(0, 31))
@settings(max_examples=300, deadline=None)
def test_stopping_anywhere_and_going_on_from_the_dump_gives_the_same_outcomes(
    log: Log, kind: dict[str, object], cut: int
) -> None:
    whole, first, second = join(**kind), join(**kind), join(**kind)

    expected = [outcome for position, entry in log for outcome in whole.apply(position, entry)]
    got = [outcome for position, entry in log[:cut] for outcome in first.apply(position, entry)]
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.dump()), type=JoinState))
    got += [outcome for position, entry in log[cut:] for outcome in second.apply(position, entry)]

    assert got == expected
    assert second.dump() == whole.dump()
