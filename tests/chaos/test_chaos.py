"""The short run: a few kills of each kind, and nothing that was acknowledged is lost or doubled.

What a run cannot reach is in ``test_compaction``: no day ends meanwhile.
"""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from tests.chaos import harness
from tests.chaos.killer import PAUSES
from tests.chaos.processes import KINDS, WORKERS, Service, processes_naming
from tests.e2e.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.redis]


def test_nothing_acknowledged_is_lost_or_doubled_when_processes_are_killed() -> None:
    lines: list[str] = []

    result = harness.run(kills=10, seed=4, told=lines.append)

    assert result.clean, f"{result}\n" + "\n".join(lines)
    assert result.total == 10
    assert all(result.kills[kind] for kind in KINDS)
    assert all(result.kills[f"{card.kind}, {card.manner}"] for card in PAUSES)
    assert result.answered_meanwhile > 0
    assert result.doubts > 0
    assert result.trimmed > 300
    assert len(result.ledger.answers) > 300  # traffic went on meanwhile
    assert len(result.ledger.accepted) > 300
    assert result.findings.counts.duplicate_events > 0
    assert result.findings.counts.late_events > 0


def test_workers_are_replaced_however_often_and_however_many_at_once_they_die(
    service: Service,
) -> None:
    serving = service.serve()

    for _ in range(3):
        dead = set(service.ready_workers())
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        until(lambda d=dead: len(set(service.ready_workers()) - d) == WORKERS, 20)  # type: ignore[misc]

    until(lambda: service.answers("/readyz"), 10)
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(10) == 0
    assert processes_naming(service.folder) == []


def test_an_embedded_redis_is_brought_up_again_each_time_it_dies(service: Service) -> None:
    service.serve()

    for _ in range(3):
        (dead,) = service.pids("redis")
        os.kill(dead, signal.SIGKILL)
        until(lambda d=dead: service.pids("redis") not in ([], [d]), 20)  # type: ignore[misc]
        until(lambda: service.answers("/readyz"), 20)


def test_a_run_that_is_interrupted_leaves_no_process_and_no_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    def told(line: str) -> None:
        seen.extend(processes_naming(folder))
        raise KeyboardInterrupt

    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        with pytest.raises(KeyboardInterrupt):
            harness.run(kills=2, seed=1, told=told)

        assert seen
        assert processes_naming(folder) == []
        assert list(folder.iterdir()) == []
