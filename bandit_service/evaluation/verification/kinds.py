"""What can be wrong with a log, how bad it is, and what to do about it.

Fatal is what makes estimates wrong, or leaves nothing to estimate from: nobody may get a number
from such a log without having asked for it by force. A warning is what estimates survive: what the
service's own join is made for (events that come late, twice, or without their decision, decisions
delivered twice: the join counts each unit once, whatever happens), and what makes an estimate
useless without making it wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from bandit_service.evaluation.logs.base import Severity


class Kind(NamedTuple):
    """A kind of violation."""

    severity: Severity
    meaning: str
    remedy: str


_KINDS: Final = {
    # -- reading
    "row_unreadable": Kind(
        "fatal",
        "A row cannot be read, so it is missing from every estimate, and perhaps not by chance.",
        "Mend or restore the file; --force goes on without the row.",
    ),
    "entry_unreadable": Kind(
        "fatal",
        "An entry of the log cannot be read: a decision, an event or a change of the catalog that "
        "later entries rely on.",
        "Restore the log, or read it with the version that wrote it.",
    ),
    "no_rows": Kind(
        "fatal",
        "The log has no closed decision with a reward.",
        "Wait for the first slots and reward windows to end, or check the file and --mapping.",
    ),
    # -- candidates
    "chosen_unknown": Kind(
        "fatal",
        "What was shown is not among the candidates, so its probability means nothing.",
        "Log the candidates that were really drawn from, after exclusions.",
    ),
    "candidates_twice": Kind(
        "fatal",
        "An arm is listed twice among the candidates of a row, so its probability is ambiguous.",
        "Log each arm once, with the whole of its probability.",
    ),
    "candidates_unknown": Kind(
        "warning",
        "The log does not say what the candidates of a row were, so no model can answer for it.",
        "Keep the catalog's entries in the log; policies that need no model are not affected.",
    ),
    # -- propensities
    "propensity_missing": Kind(
        "fatal",
        "A row does not say with which probability its arm was shown.",
        "Log the propensity when the decision is made; it cannot be found out later.",
    ),
    "propensity_range": Kind(
        "fatal",
        "A propensity is not above 0 (1e-75, in fact) and at most 1: what was shown cannot have "
        "had it.",
        "Log the probability that the draw used, unrounded, neither as percent nor as a score.",
    ),
    "propensity_mismatch": Kind(
        "fatal",
        "The propensity of a row is not the probability that the row gives to what was shown.",
        "Log both from the same draw, or leave out the one that is not used.",
    ),
    "probabilities_range": Kind(
        "fatal",
        "The probability of a candidate is below 0, above 1, or not a number.",
        "Log probabilities, not scores.",
    ),
    "probabilities_sum": Kind(
        "fatal",
        "The probabilities of a row's candidates do not sum to 1 (within a millionth), so some of "
        "the draw is not in the log.",
        "Log every candidate, and log probabilities unrounded.",
    ),
    "no_exploration": Kind(
        "fatal",
        "Every propensity is 1, though there were several candidates: either the number is a "
        "placeholder, or nothing but what was shown could ever have been.",
        "Log the true propensities; if there was no exploration, no estimate of another policy can "
        "be had from this log, only from an experiment.",
    ),
    "sample_ratio_mismatch": Kind(
        "fatal",
        "What was shown was not drawn with the probabilities in the log: estimates are wrong by as "
        "much. A log that was drawn as it says is blamed so in one of 10,000 cases at most.",
        "Look for a server that draws from another distribution than it logs, and for rows of one "
        "arm that are dropped or doubled on the way.",
    ),
    "sample_ratio_estimated": Kind(
        "warning",
        "What was shown does not fit the propensities, which were estimated from the log: the "
        "estimate of them is too coarse.",
        "Log the propensities, or estimate them by more of what they depend on.",
    ),
    # -- rewards
    "reward_not_finite": Kind(
        "fatal",
        "A reward is missing, infinite or too large to be reckoned with (1e75).",
        "Log 0 where nothing was earned.",
    ),
    "reward_range": Kind(
        "fatal",
        "A reward is outside of what the log's rules allow; intervals rely on these bounds.",
        "Correct the reward, or the range in the settings or the mapping.",
    ),
    "no_rewards": Kind(
        "warning",
        "Every reward is the same, so the log cannot tell policies apart.",
        "Check that events reach the log, what they are worth, and the length of the window.",
    ),
    # -- what a join is made for
    "decision_twice": Kind(
        "warning",
        "A decision is in the log twice; the first counts.",
        "Nothing need be done: it was delivered twice.",
    ),
    "event_without_decision": Kind(
        "warning",
        "An event names a decision that the log does not have; it counts for nothing.",
        "Expected at the beginning of a part of a log, within one reward window; elsewhere look "
        "for decisions that were lost.",
    ),
    "event_twice": Kind(
        "warning",
        "An event is in the log twice; the first counts.",
        "Nothing need be done: it was delivered twice.",
    ),
    "event_late": Kind(
        "warning",
        "An event came after its decision had closed; it counts for nothing.",
        "If there are many, lengthen the reward window and rebuild.",
    ),
    # -- order and parts
    "row_twice": Kind(
        "fatal",
        "A row is in the log twice, so it counts twice.",
        "Read each file once, and leave out copies.",
    ),
    "partition_overlaps": Kind(
        "warning",
        "Two files hold the same stretch of the log; it was read once.",
        "Leave one of them out, or let the archiver finish: bandit-service archive --once.",
    ),
    "partition_missing": Kind(
        "fatal",
        "No file holds a stretch between others: decisions shortly before it miss their events, "
        "and count as if nothing had come.",
        "Add the missing file, or evaluate the parts before and after it apart.",
    ),
    "sampled_unevenly": Kind(
        "fatal",
        "Rows were thinned out, and not all alike, so those that stayed are no fair sample.",
        "Log all rows, or keep the same share of all.",
    ),
    "time_backwards": Kind(
        "fatal",
        "Time runs backwards in the log: which events were in time depends on their order.",
        "Sort the log by time, or give its files in order.",
    ),
    "rows_unordered": Kind(
        "warning",
        "The rows of a table do not stand in the order of their times. Where that is because files "
        "overlap, rows count twice; and a policy that learns would learn from later rows.",
        "Sort the table by time, leave out what is in two files, and name an id column.",
    ),
    # -- what can be learned
    "one_variant": Kind(
        "warning",
        "No row has more than one candidate: every policy does the same.",
        "Register a second variant.",
    ),
    "little_support": Kind(
        "warning",
        "The log seldom shows what a policy would, so its estimate rests on few rows.",
        "Evaluate a policy closer to what was logged, or log more exploration.",
    ),
}

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(_KINDS)
"""Every kind of violation, in the order in which findings are shown among equals."""
