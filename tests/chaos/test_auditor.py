"""The auditor can fail: each way to break a promise is found, and named for what it is.

A small site is served and learned in memory, as in any run; then its log or its answers are
tampered with, one thing at a time: in the list of its rows, and in the files of its archive.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from bandit_service.archive.archiver import SiteArchiver
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder, Partitions, Span
from bandit_service.archive.segments import Segment, SegmentWriter
from bandit_service.catalog.document import CatalogDocument
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import Decision, Event, Position, decode, encode
from bandit_service.events.identity import SiteSecret
from bandit_service.folds.learner import SiteLearner
from bandit_service.outcomes.join import LATEST_MS
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.reporting.stored import StoredSite, StoredSums
from bandit_service.reporting.stored import decode as stored
from bandit_service.reporting.stored import encode as stored_bytes
from bandit_service.services import ensure_snapshot
from bandit_service.serving.decide import decide
from bandit_service.serving.editing import CatalogEditor
from bandit_service.serving.intake import take_events
from bandit_service.serving.requests import DecideRequest, EventsRequest
from bandit_service.serving.view import SiteView
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import SiteStore
from tests.chaos.auditor import Findings, Live, Row, audit, live_of, missing, rows_of
from tests.chaos.ledger import VALUE_STEP, Answer, Ledger, Sending, answer_of
from tests.conftest import CATALOG, Clock

SETTINGS = SiteSettings(rewards=RewardSettings(window_seconds=5.0), policy=PolicySettings(bits=10))
TICK = b'{"t":"tick","at":1}'


@dataclass(frozen=True)
class Evidence:
    """What ``audit`` is given."""

    ledger: Ledger
    rows: list[Row]
    live: Live
    secret: SiteSecret
    site: SiteStore

    def audit(self) -> Findings:
        return audit(self.ledger, self.rows, self.live, settings=SETTINGS, secret=self.secret)


@pytest.fixture
def evidence() -> Evidence:
    clock = Clock()
    site = MemoryStore(clock=clock).site("main")
    CatalogEditor(site, by="test", clock=clock).put_document(
        msgspec.convert(CATALOG, CatalogDocument)
    )
    ensure_snapshot(site, SETTINGS)
    learner = SiteLearner(site, SETTINGS, clock=lambda: clock() / 1000, publish_seconds=0.5)
    view = SiteView(site, SETTINGS)
    ledger, rng = Ledger(), random.Random(1)
    for number in range(40):
        clock.advance(0.3)
        view.refresh()
        visitor = f"v{number % 7}" if number % 3 else None
        request = DecideRequest(placement="film", visitor=visitor)
        made = decide(view, request, now=clock(), entropy=rng.randbytes(9))
        ledger.answers.append(answer_of(msgspec.to_builtins(made), visitor))
        sent = Sending(made.decision, "click", 1 + number * VALUE_STEP, f"e{number}")
        raw = msgspec.Raw(msgspec.json.encode(sent._asdict()))
        take_events(view, EventsRequest(events=[raw]), now=clock())
        ledger.accepted.append(sent)
        learner.step()
    for _ in range(4):
        clock.advance(6)
        learner.step()
    learner.finish()
    return Evidence(ledger, rows_of(site), live_of(site), view.secret, site)


def nth(rows: list[Row], kind: type[Decision | Event], number: int) -> int:
    """Index of an entry of a kind."""
    return [n for n, (_, data) in enumerate(rows) if isinstance(decode(data), kind)][number]


def test_what_kept_its_promises_is_found_clean(evidence: Evidence) -> None:
    findings = evidence.audit()

    assert findings.clean, findings
    assert findings.units > 10
    assert findings.snapshots > 3
    assert missing(evidence.ledger, evidence.rows) == 0


@pytest.mark.parametrize("kind", [Decision, Event])
def test_an_entry_that_is_gone_from_the_log_is_lost(
    evidence: Evidence, kind: type[Decision | Event]
) -> None:
    assert missing(evidence.ledger, evidence.rows) == 0
    del evidence.rows[nth(evidence.rows, kind, 5)]

    findings = evidence.audit()

    assert len([what for what in findings.lost if "answered" in what or "accepted" in what]) == 1
    assert missing(evidence.ledger, evidence.rows) == 1
    assert not findings.clean


@pytest.mark.parametrize("kind", [Decision, Event])
def test_an_entry_that_is_in_the_log_twice_is_doubled(
    evidence: Evidence, kind: type[Decision | Event]
) -> None:
    index = nth(evidence.rows, kind, 5)
    position, data = evidence.rows[index]
    evidence.rows.insert(index + 1, (Position(position.ms, position.seq + 1), data))

    findings = evidence.audit()

    assert len(findings.doubled) == 1
    assert not findings.clean


def test_a_probability_that_is_not_as_answered_is_wrong(evidence: Evidence) -> None:
    index = nth(evidence.rows, Decision, 5)
    position, data = evidence.rows[index]
    decision = decode(data)
    assert isinstance(decision, Decision)
    changed = [p * (1 + 2**-50) for p in decision.probabilities]
    evidence.rows[index] = (
        position,
        encode(msgspec.structs.replace(decision, probabilities=changed)),
    )

    findings = evidence.audit()

    assert len(findings.wrong) == 1
    assert decision.id in findings.wrong[0]


@pytest.mark.parametrize("what", ["arm", "persona", "snapshot", "visitor", "reason"])
def test_an_answer_that_the_log_contradicts_is_wrong(evidence: Evidence, what: str) -> None:
    answers = evidence.ledger.answers
    fields = answers[5]._asdict() | {what: "another"}
    answers[5] = Answer(**fields)

    findings = evidence.audit()

    assert len(findings.wrong) == 1


def test_an_event_that_nobody_sent_is_wrong(evidence: Evidence) -> None:
    evidence.ledger.accepted.pop()

    assert len(evidence.audit().wrong) == 1


def test_a_tampered_model_and_one_of_another_log_are_found(evidence: Evidence) -> None:
    live = evidence.live
    assert live.snapshot is not None
    turned = bytes([*live.snapshot[:-1], live.snapshot[-1] ^ 1])

    for other in (replace(live, snapshot=turned), replace(live, name=live.name[:-1] + "x")):
        findings = replace(evidence, live=other).audit()
        assert not findings.model_equal
        assert not findings.clean


def test_a_report_that_counts_otherwise_is_found(evidence: Evidence) -> None:
    resumed = evidence.live.resumed
    assert resumed is not None
    site = stored(resumed.site or b"", StoredSite)
    site.join.late_events += 1
    sums = stored(resumed.sums["film"], StoredSums)
    sums = msgspec.structs.replace(sums, rows=sums.rows[:-1] + b"x")

    for wrong in (
        resumed._replace(site=stored_bytes(site)),
        resumed._replace(sums={"film": stored_bytes(sums)}),
        resumed._replace(series={}),
    ):
        findings = replace(evidence, live=replace(evidence.live, resumed=wrong)).audit()

        assert not findings.counters_equal
        assert not findings.clean


def test_a_snapshot_that_served_and_is_no_state_of_the_log_is_lost(evidence: Evidence) -> None:
    index = nth(evidence.rows, Event, 5)
    position, data = evidence.rows[index]
    event = decode(data)
    assert isinstance(event, Event)
    evidence.rows[index] = position, encode(msgspec.structs.replace(event, type="dislike"))

    assert any("which served" in what for what in evidence.audit().lost)


def of_a_visitor(rows: list[Row]) -> Decision:
    """A logged decision that a visitor was named for."""
    decisions = (entry for _, data in rows if isinstance(entry := decode(data), Decision))
    return next(decision for decision in decisions if decision.visitor is not None)


def test_a_unit_that_closes_twice_is_doubled(evidence: Evidence) -> None:
    decision = of_a_visitor(evidence.rows)
    ended = evidence.rows[-1][0].ms + decision.slot_ms
    again = msgspec.structs.replace(decision, id=decision.id[::-1])
    evidence.rows.append((Position(ended + LATEST_MS + 1, 0), encode(again)))
    evidence.rows.append((Position(ended + LATEST_MS + 6_000, 0), TICK))

    assert any("closed 2 times" in what for what in evidence.audit().doubled)


def test_a_unit_that_never_closes_is_lost(evidence: Evidence) -> None:
    decision = of_a_visitor(evidence.rows)
    alone = msgspec.structs.replace(decision, id=decision.id[::-1], visitor="nobody")
    evidence.rows.append((Position(evidence.rows[-1][0].ms + 1, 0), encode(alone)))

    assert any("nobody" in what for what in evidence.audit().lost)


# -- archived


class Archived:
    """The log of the evidence, of which the older half is in the archive alone."""

    def __init__(self, evidence: Evidence, path: Path) -> None:
        self.seam = evidence.rows[len(evidence.rows) // 2][0]
        self._evidence = evidence
        self._folder = ArchiveFolder(path)
        SiteArchiver(
            evidence.site,
            self._folder,
            archive=self._folder.ensure("an archive"),
            clock=lambda: self.seam.ms,
            stream_ms=0,
            settle_ms=0,
        ).step()
        assert 0 < evidence.site.length() < len(evidence.rows)

    @property
    def partitions(self) -> Partitions:
        return self._folder.site("main")

    @property
    def span(self) -> Span:
        """The one file."""
        (span,) = self.partitions.spans()
        return span

    def rows(self) -> list[Row]:
        return rows_of(History(self._evidence.site, self._folder))

    def audit(self) -> Findings:
        return replace(self._evidence, rows=self.rows()).audit()

    def rewrite(self, rows: list[Row]) -> None:
        """Put a sound file with other rows in the place of the one that is there."""
        span, draft = self.span, self._folder.draft()
        with SegmentWriter(draft, site="main", after=span.after) as writer:
            writer.write(rows)
            writer.finish(span.last)
        self._folder.place(draft, span.path)

    def file_rows(self) -> list[Row]:
        with Segment(self.span.path) as segment:
            return list(segment.rows())


@pytest.fixture
def archived(evidence: Evidence, tmp_path: Path) -> Archived:
    return Archived(evidence, tmp_path / "archive")


def test_a_log_in_archive_and_stream_is_found_clean(evidence: Evidence, archived: Archived) -> None:
    assert archived.rows() == evidence.rows
    assert archived.audit().clean


@pytest.mark.parametrize("number", [5, -1])
@pytest.mark.parametrize("kind", [Decision, Event])
def test_an_entry_that_is_gone_from_the_archive_is_lost(
    archived: Archived, kind: type[Decision | Event], number: int
) -> None:
    rows = archived.file_rows()
    del rows[nth(rows, kind, number)]
    archived.rewrite(rows)

    findings = archived.audit()

    assert len([what for what in findings.lost if "answered" in what or "accepted" in what]) == 1
    assert not findings.clean


@pytest.mark.parametrize("number", [5, -2])
@pytest.mark.parametrize("kind", [Decision, Event])
def test_an_entry_that_is_in_the_archive_twice_is_doubled(
    archived: Archived, kind: type[Decision | Event], number: int
) -> None:
    rows = archived.file_rows()
    index = nth(rows, kind, number)
    position, data = rows[index]
    rows.insert(index + 1, (Position(position.ms, position.seq + 1), data))
    archived.rewrite(rows)

    assert len(archived.audit().doubled) == 1


def test_an_entry_that_is_archived_and_logged_again_beyond_the_seam_is_doubled(
    evidence: Evidence, archived: Archived
) -> None:
    rows = archived.file_rows()
    evidence.site.append(rows[nth(rows, Decision, -1)][1])

    assert len(archived.audit().doubled) == 1


def test_a_changed_byte_in_the_archive_is_refused_or_changes_nothing_of_the_log(
    evidence: Evidence, archived: Archived
) -> None:
    sound = archived.span.path.read_bytes()
    refused = 0
    for place in range(0, len(sound), len(sound) // 40):
        data = bytearray(sound)
        data[place] ^= 1
        archived.span.path.write_bytes(data)
        try:
            rows = archived.rows()
        except ArchiveError:
            refused += 1
        else:  # the columns for other programs are not read
            assert rows == evidence.rows

    assert refused > 3


def test_a_file_that_is_gone_from_the_archive_is_refused(archived: Archived) -> None:
    archived.span.path.unlink()

    with pytest.raises(ArchiveError):
        archived.audit()


def test_an_event_that_came_before_its_decision_is_wrong(evidence: Evidence) -> None:
    rows = evidence.rows
    at = nth(rows, Event, 5)
    event = decode(rows[at][1])
    assert isinstance(event, Event)
    before = next(n for n, row in enumerate(rows) if event.decision.encode() in row[1])
    rows[before], rows[at] = (rows[before][0], rows[at][1]), (rows[at][0], rows[before][1])

    assert any("came before its decision" in what for what in evidence.audit().wrong)


def test_rows_that_are_out_of_order_are_wrong(evidence: Evidence) -> None:
    evidence.rows[7], evidence.rows[8] = evidence.rows[8], evidence.rows[7]

    assert any("follows the one at" in what for what in evidence.audit().wrong)
