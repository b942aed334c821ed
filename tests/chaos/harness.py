"""A run: a service under traffic, a killer among its processes, and the auditor at the end.

Everything is in a folder of the run's own, which is gone afterwards with every process that was
started, however the run ends.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bandit_service.errors import BanditError
from bandit_service.events.identity import SiteSecret
from bandit_service.folds.site import FoldState
from bandit_service.policy.settings import read_settings
from bandit_service.policy.snapshot import load_checkpoint
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.ports import SiteStore
from bandit_service.storage.redis_store import RedisStore
from tests.chaos.auditor import SHOWN, Findings, audit, live_of, missing, rows_of
from tests.chaos.killer import Killer
from tests.chaos.ledger import Ledger
from tests.chaos.processes import Kind, Service
from tests.chaos.traffic import PERSONAS, PLACEMENT, PLACEMENTS, Traffic
from tests.e2e.processes import SITE_TOML, until

THREADS: Final = 6
BEAT_SECONDS: Final = 0.06
"""Between two visits of one client: about 100 visits a second in all."""
DRAIN_SECONDS: Final = 60.0
"""How long learning may take to be done once traffic has ended."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did, and what the auditor says to it."""

    seed: int
    seconds: float
    kills: dict[str, int]
    total: int
    overlapped: int
    absent: tuple[Kind, ...]
    ledger: Ledger
    findings: Findings
    entries: int
    trimmed: int
    """Entries that are in the archive alone."""
    pauses: int
    answered_meanwhile: int
    """Decisions that were acknowledged while Redis was paused."""
    doubts: int
    """Appends that Redis may have carried out without answering."""

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or wrong."""
        return self.findings.clean

    def __str__(self) -> str:
        found, ledger, counts = self.findings, self.ledger, self.findings.counts
        kinds = [f"{what} {n}" for what, n in sorted(self.kills.items()) if "," not in what]
        aimed = [f"{what} {n}" for what, n in sorted(self.kills.items()) if "," in what]
        lines = [
            f"chaos: seed {self.seed}, {self.seconds:.0f} s",
            f"  kills          {self.total}: {'; '.join(kinds)}; {self.overlapped} overlapping",
            f"  of them aimed  {'; '.join(aimed) or 'none'}",
            *(f"  {kind}: absent, skipped" for kind in self.absent),
            (
                f"  Redis paused   {self.pauses} times; {self.answered_meanwhile} decisions "
                f"acknowledged meanwhile, {self.doubts} appends in doubt"
            ),
            f"  acknowledged   {len(ledger.answers)} decisions, {len(ledger.accepted)} events",
            (
                f"  unacknowledged {ledger.unanswered} requests for decisions, "
                f"{len(ledger.unsure)} events, {ledger.unlogged} decisions said not to be logged; "
                f"logged all the same: {found.logged_unasked}"
            ),
            (
                f"  log            {self.entries} entries, {self.trimmed} of them trimmed; "
                f"{found.units} units closed: "
                f"{counts.rewarded} rewarded, {counts.defaulted} defaulted; "
                f"{counts.repeated_views} repeated views, "
                f"{counts.duplicate_events} repeated events, "
                f"{counts.late_events} late"
            ),
            f"  lost           {len(found.lost)}",
            f"  doubled        {len(found.doubled)}",
            f"  wrong          {len(found.wrong)}",
            (
                f"  model equal    {_yes(found.model_equal)}, and {found.snapshots} snapshots "
                "that served found again on the log"
            ),
            f"  counters equal {_yes(found.counters_equal)}",
        ]
        for name, sentences in (
            ("lost", found.lost),
            ("doubled", found.doubled),
            ("wrong", found.wrong),
        ):
            lines += [f"  {name}: {sentence}" for sentence in sentences[:SHOWN]]
        return "\n".join(lines)


def run(*, kills: int, seed: int, told: Told) -> Result:
    """Run it.

    Raises:
        NotBackError: if a killed process was not replaced.
        AssertionError: if the service did not start.
    """
    began = time.monotonic()
    with running_service(told) as (service, store):
        traffic = Traffic(
            service.port, site_key(service), seed=seed, threads=THREADS, beat=BEAT_SECONDS
        )
        ledger = traffic.ledger
        killer = Killer(
            service,
            store,
            rng=random.Random(f"{seed} killer"),
            answered=lambda: len(ledger.answers),
            told=told,
        )
        traffic.start()
        try:
            killer.run(kills)
        finally:
            traffic.stop()
            killer.close()
        told("traffic has ended; waiting for learning to come to rest")
        site = store.site("main")
        early = rows_of(service.history(site))  # where an archiver is at work
        if not came(lambda: at_rest(service, site, ledger), DRAIN_SECONDS):
            told(f"not at rest after {DRAIN_SECONDS:g} s; auditing what there is")
        rows = rows_of(service.history(site))
        findings = audit(
            ledger,
            rows,
            live_of(site),
            settings=read_settings(SITE_TOML.encode(), name="site.toml"),
            secret=SiteSecret(site.secret()),
        )
        if rows[: len(early)] != early:
            findings.wrong.append("the log was read otherwise a moment before")
        return Result(
            seed=seed,
            seconds=time.monotonic() - began,
            kills=dict(killer.kills),
            total=killer.total,
            overlapped=killer.overlapped,
            absent=killer.absent,
            ledger=ledger,
            findings=findings,
            entries=len(rows),
            trimmed=len(rows) - site.length(),
            pauses=killer.pauses,
            answered_meanwhile=killer.answered_meanwhile,
            doubts=service.words.read_text(errors="replace").count("append_unanswered"),
        )


@contextmanager
def running_service(told: Told) -> Iterator[tuple[Service, RedisStore]]:
    """A service with a catalog, and a store that looks into its Redis."""
    with tempfile.TemporaryDirectory(prefix="bandit-chaos-", ignore_cleanup_errors=True) as name:
        service = Service(Path(name))
        store = RedisStore(EmbeddedRedis(data_dir=service.data).url)
        try:
            service.serve()
            register(service)
            yield service, store
        except Exception:
            told("the service's own words:\n" + _tail(service.words))
            raise
        finally:
            store.close()
            service.end()


def register(service: Service) -> None:
    """The catalog that traffic asks for."""
    editor = service.caller(service.key("editor"))
    for placement in PLACEMENTS:
        assert editor.call("PUT", f"/v1/placements/{placement}", PLACEMENT)[0] == 200
    assert editor.call("PUT", "/v1/personas", PERSONAS)[0] == 200


def site_key(service: Service) -> str:
    """A website's key that every web process knows, as it knows the placements by then."""
    key = service.key("site")
    for placement in PLACEMENTS:
        for _ in range(8):
            body = {"placement": placement}
            caller = service.caller(key)  # a connection of its own, so another process perhaps
            until(lambda c=caller, b=body: c.call("POST", "/v1/decide", b)[0] == 200, 10)  # type: ignore[misc]
            caller.close()
    return key


def at_rest(service: Service, store: SiteStore, ledger: Ledger) -> bool:
    """Whether all is learned, checkpointed and reported, and nothing more will be logged.

    What is acknowledged and missing is waited for too: a moment ago it may still have waited.
    """
    try:
        if not service.ready() or service.waiting():
            return False
        tail, head, kept = store.tail(), store.head(), store.checkpoint()
        if head is None or kept is None or head.position != tail:
            return False
        checkpoint = load_checkpoint(kept, FoldState)
        learning = checkpoint.state.join.views or checkpoint.snapshot.position != tail
        return not learning and missing(ledger, rows_of(service.history(store))) == 0
    except BanditError:
        return False


def came(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _yes(answer: bool) -> str:
    return "yes" if answer else "NO"


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-40:]) if path.exists() else ""
