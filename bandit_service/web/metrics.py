"""What a process counts, for Prometheus. Never anything about a visitor.

Worker processes share their figures through files in ``PROMETHEUS_MULTIPROC_DIR``, which
``web.server`` sets before it starts them; without it a process reports its own. Where a process has
died, its counts stay and its gauges go: ``forget_process``.
"""

from __future__ import annotations

import os
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from bandit_service.serving.crawlers import KINDS
from bandit_service.serving.mail import WHATS

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0)
"""Upper bounds in seconds."""


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        """Fresh figures, in a registry of their own."""
        shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._registry = CollectorRegistry()
        own = None if shared else self._registry
        if shared:
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        counter = partial(Counter, registry=own)
        gauge = partial(Gauge, registry=own, multiprocess_mode="livemax")
        decisions = counter("bandit_decisions_total", "Decisions answered, by reason", ["reason"])
        crawlers = counter(
            "bandit_crawlers_total", "Answers of the canonical variant, by who asked", ["kind"]
        )
        self.crawlers = {kind: crawlers.labels(kind) for kind in KINDS}
        mail = counter(
            "bandit_mail_total", "Pictures and clicks of e-mails, by what they were", ["kind"]
        )
        self.mail = {what: mail.labels(what) for what in WHATS}
        reasons = ("learned", "explored", "sticky", "holdout", "fallback", "only")
        self.decisions = {reason: decisions.labels(reason) for reason in reasons}
        self.events = counter(
            "bandit_events_total",
            "Events accepted, rejected, or dropped as a crawler's",
            ["answer"],
        )
        self.errors = counter("bandit_errors_total", "Errors answered, by code", ["code"])
        self.seconds = Histogram(
            "bandit_decide_seconds",
            "Time to answer a decision, in seconds",
            buckets=_BUCKETS,
            registry=own,
        )
        self.staleness = gauge(
            "bandit_staleness_seconds",
            "Time since the last successful look for news, in seconds",
        )
        self.busy = gauge(
            "bandit_busy_share",
            "Share of the last second that a process spent in requests",
        )
        self.held = counter(
            "bandit_snapshots_held_total",
            "Looks that found a newer snapshot and put it off, being too busy",
        )
        self.away = gauge(
            "bandit_redis_away",
            "Whether decisions and events wait on this machine's disk for Redis",
        )
        self.spooled = gauge(
            "bandit_spooled_entries",
            "Decisions and events that wait on this machine's disk",
            multiprocess_mode="livemostrecent",
        )
        self.unlogged = counter(
            "bandit_unlogged_decisions_total",
            "Decisions answered that neither Redis nor the disk took",
        )

    def pressure(self, share: float, held: int) -> None:
        """What ``serving.pressure`` tells of a look."""
        self.busy.set(share)
        if held:
            self.held.inc(held)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)


def forget_process(pid: int) -> None:
    """Drop the gauges of a process that has died."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]
