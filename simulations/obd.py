"""Real visitors for a running service: the Open Bandit Dataset, replayed over HTTP.

One placement is registered with every item of a campaign as a live variant. Each visitor of the
``random`` log, in log order, is then sent to ``POST /v1/decide`` with the user's features as
traits and the position on the page as context. Where the service picks the very item that was
shown at the time, the visitor's real reaction is reported back: an impression, and a click if
there was one. Of every other row nothing is known, so nothing is reported.

What this estimates (Li, Chu, Langford, Wang, 2011, "Unbiased offline evaluation of
contextual-bandit-based news article recommendation algorithms"): the log drew its K items
uniformly, whatever the visitor, so a row matches with probability 1/K, whatever the policy prefers
and has learned so far. The matched rows are therefore an unbiased sample of the visits that the
policy would have had live, and their click rate estimates its own. Limits to keep in mind:

- Only N/K of N rows match, so the policy learns from a few hundred rows, and is judged on them.
- The ``bts`` log preferred some items for some visitors: its matched rows are no such sample. A
  log whose propensities are not uniform is refused; the ``bts`` rate is shown for comparison.
- The service must learn from matched rows alone: it runs with ``rewards.counts = "seen"``, so that
  a decision never reported closes as never seen rather than as one that nobody clicked.
- Rewards of visitors who do not click come when the reward window closes, on the wall clock, not
  on the log's: with a window longer than the run, the policy learns of clicks alone until then.
- A page showed three items at once. Each is its own decision here, as if they did not compete.

A request is repeated a bounded number of times. A repeated event carries the same id, so it counts
once; a repeated decision leaves one behind that nobody reports. Both show up in the summary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, get_args

import click
import httpx
import msgspec
from rich.console import Console, Group, RenderableType
from rich.progress import track
from rich.table import Table
from scipy.stats import beta, fisher_exact

from bandit_service.datasets import (
    Campaign,
    ObdImpression,
    ObdItem,
    ObdLog,
    fetch_obd,
    load_obd,
)
from bandit_service.errors import BanditError, DatasetError

CONFIDENCE: Final = 0.95
SIGNIFICANCE: Final = 0.05
"""Largest p-value that this driver calls a difference."""
ATTEMPTS: Final = 6
FIRST_PAUSE_SECONDS: Final = 0.1
"""Before the second attempt; it doubles with each further one."""
TIMEOUT_SECONDS: Final = 10.0
RETRIED_STATUSES: Final = frozenset({404, 429, 502, 503, 504})
"""Worth another attempt; 404 because a worker may not have seen the new placement yet."""


class ServiceError(BanditError):
    """Raised when the service refuses a request, or does not answer after every attempt."""

    code = "service_failed"
    exit_code = 3


class Rate(msgspec.Struct, frozen=True):
    """Clicks among equally weighted rows: the effective sample size is ``rows``."""

    clicks: int
    rows: int

    @property
    def value(self) -> float:
        """Clicks per row, in [0, 1]; NaN without rows."""
        return self.clicks / self.rows if self.rows else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds that hold the true rate with probability ``CONFIDENCE`` or more.

        Clopper and Pearson, 1934: the quantiles of Beta(k, n-k+1) and Beta(k+1, n-k).
        """
        misses, tail = self.rows - self.clicks, (1 - CONFIDENCE) / 2
        low = float(beta.ppf(tail, self.clicks, misses + 1)) if self.clicks else 0.0
        high = float(beta.ppf(1 - tail, self.clicks + 1, misses)) if misses else 1.0
        return low, high

    def p_value(self, other: Rate) -> float:
        """Fisher's exact test, two-sided, that two disjoint sets of rows have the same rate."""
        table = [[rate.clicks, rate.rows - rate.clicks] for rate in (self, other)]
        return float(fisher_exact(table)[1])

    def without(self, part: Rate) -> Rate:
        """The rows that are left when those of ``part`` are taken out."""
        return Rate(self.clicks - part.clicks, self.rows - part.rows)


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """What came of sending visitors to the service."""

    sent: Rate
    """Every row sent, with the log's own clicks."""
    matched: Rate
    """The rows where the service picked the logged item."""
    rejected: int = 0
    """Events that the service did not accept."""
    repeated: int = 0
    """Requests that had to be sent again."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A drive beside the log's own rates. Probabilities and rates lie in [0, 1]."""

    campaign: Campaign
    drive: Drive
    random: Rate
    """The whole log of the uniform policy."""
    bts: Rate
    """The whole log of the other policy: Bernoulli Thompson sampling."""

    @property
    def visitors(self) -> int:
        """Rows of the log sent to the service."""
        return self.drive.sent.rows

    @property
    def p_value(self) -> float:
        """That matched rows click as the log's others do, which random chose; 1 without rows.

        The whole log would not do for comparison: it holds the matched rows themselves.
        """
        return self.drive.matched.p_value(self.drive.sent.without(self.drive.matched))

    @property
    def bts_p_value(self) -> float:
        """That ``bts`` and ``random`` have the same rate, on their whole logs."""
        return self.bts.p_value(self.random)

    @property
    def significant(self) -> bool:
        """Whether the service's rate can be told from random's."""
        return self.p_value < SIGNIFICANCE

    @property
    def clicks_needed(self) -> int | None:
        """Fewest clicks on as many matched rows that would have been significantly above random.

        None if even every click of the log would not have sufficed.
        """
        sent, rows = self.drive.sent, self.drive.matched.rows
        fewest = max(0, sent.clicks - (sent.rows - rows))
        for clicks in range(fewest, min(rows, sent.clicks) + 1):
            matched = Rate(clicks, rows)
            rest = sent.without(matched)
            if matched.value > rest.value and matched.p_value(rest) < SIGNIFICANCE:
                return clicks
        return None


def run(
    base_url: str,
    editor_key: str,
    site_key: str,
    campaign: Campaign,
    *,
    cache_dir: Path | None = None,
    limit: int | None = None,
    console: Console,
    pause: Callable[[float], object] = time.sleep,
) -> Summary:
    """Fetch the data unless they are cached, send a campaign's visitors, and sum up.

    Args:
        base_url: Where the service listens, such as ``http://127.0.0.1:8000``.
        editor_key: Registers the items.
        site_key: Decides and reports.
        campaign: ``all``, ``men`` or ``women``.
        cache_dir: Of the data; None for the user's own.
        limit: Most visitors to send; None for all.
        console: Shows progress.
        pause: Waits for a number of seconds between attempts.

    Raises:
        DatasetError: If the data cannot be fetched or read.
        ServiceError: If the service refuses a request or stays away.
    """
    folder = fetch_obd(cache_dir, progress=console.print)
    random = load_obd(campaign, "random", folder)
    bts = load_obd(campaign, "bts", folder)
    with Service(base_url, pause=pause) as service:
        done = drive(service, random, editor_key, site_key, limit=limit, console=console)
    return Summary(campaign=campaign, drive=done, random=_logged(random), bts=_logged(bts))


class Service:
    """One persistent connection to a running service; close it, or use it in ``with``."""

    def __init__(self, base_url: str, *, pause: Callable[[float], object]) -> None:
        # A proxy from the environment has no business between us and a service we were given.
        self._client = httpx.Client(base_url=base_url, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._pause = pause
        self.repeated = 0
        """Requests that were sent again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def call(self, method: str, path: str, key: str, body: Mapping[str, object]) -> bytes:
        """Send JSON and return the body of a successful answer.

        Raises:
            ServiceError: If it is refused, or every attempt failed.
        """
        failure = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.repeated += 1
                self._pause(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                answer = self._client.request(
                    method,
                    path,
                    content=msgspec.json.encode(body),
                    headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
                )
            except httpx.TransportError as exc:
                failure = f"{type(exc).__name__} {exc}"
                continue
            if answer.is_success:
                return answer.content
            failure = f"{answer.status_code} {answer.text[:300]}"
            if answer.status_code not in RETRIED_STATUSES:
                break
        raise ServiceError(
            f"{method} {path} failed: {failure}", hint="see the service's own log for the cause"
        )


def drive(
    service: Service,
    log: ObdLog,
    editor_key: str,
    site_key: str,
    *,
    limit: int | None = None,
    console: Console,
) -> Drive:
    """Register the log's items, send its visitors in log order, and report where picks agree.

    Raises:
        DatasetError: If the log did not choose its items uniformly.
        ServiceError: If the service refuses a request or stays away.
    """
    _require_uniform(log)
    path = f"/v1/placements/{_placement(log)}"
    service.call("PUT", path, editor_key, placement_body(log))
    visitors = log.impressions[:limit]
    matched = clicks = rejected = 0
    for row in track(visitors, "real visitors", console=console, transient=True):
        decision = _decide(service, site_key, log, row)
        if decision.variant.id == _variant(row.item):
            matched, clicks = matched + 1, clicks + row.clicked
            rejected += _report(service, site_key, decision.decision, row)
    return Drive(
        sent=Rate(sum(row.clicked for row in visitors), len(visitors)),
        matched=Rate(clicks, matched),
        rejected=rejected,
        repeated=service.repeated,
    )


def placement_body(log: ObdLog) -> dict[str, object]:
    """A log's items as one placement of thumbnails. The addresses lead nowhere: OBD has none."""
    return {
        "kind": "thumbnail",
        "name": f"Open Bandit Dataset, campaign {log.campaign}",
        "tags": ["open-bandit-dataset"],
        "variants": [_variant_body(log.campaign, item) for item in log.items],
    }


def _variant_body(campaign: Campaign, item: ObdItem) -> dict[str, object]:
    return {
        "id": _variant(item.id),
        "image_url": f"https://images.example/obd/{campaign}/{item.id}.jpg",
        "alt": f"Item {item.id}",
        "target_url": f"https://shop.example/obd/{campaign}/{item.id}",
        "tags": [f"{name}-{value}" for name, value in item.categories.items()],
        "attributes": dict(item.numbers),
        "status": "live",
    }


class _Chosen(msgspec.Struct):
    id: str


class _Decision(msgspec.Struct):
    decision: str
    variant: _Chosen


class _Receipt(msgspec.Struct):
    rejected: list[dict[str, object]]


def _decide(service: Service, key: str, log: ObdLog, row: ObdImpression) -> _Decision:
    body = {
        "placement": _placement(log),
        "traits": row.traits,
        "context": {"position": str(row.position)},
    }
    answer = service.call("POST", "/v1/decide", key, body)
    return msgspec.json.decode(answer, type=_Decision)


def _report(service: Service, key: str, decision: str, row: ObdImpression) -> int:
    """Report what the visitor really did; return how many events were not accepted."""
    types = ("impression", "click") if row.clicked else ("impression",)
    events = [{"decision": decision, "type": type_, "id": f"obd-{type_}"} for type_ in types]
    answer = service.call("POST", "/v1/events", key, {"events": events})
    return len(msgspec.json.decode(answer, type=_Receipt).rejected)


def _placement(log: ObdLog) -> str:
    return f"obd-{log.campaign}"


def _variant(item: int) -> str:
    return f"item-{item}"


def _logged(log: ObdLog) -> Rate:
    return Rate(log.clicks, len(log.impressions))


def _require_uniform(log: ObdLog) -> None:
    uniform = 1 / len(log.items)
    if not all(math.isclose(row.propensity, uniform) for row in log.impressions):
        raise DatasetError(
            f"the {log.behaviour} log did not choose its items uniformly, so rows that match a "
            "policy's picks say nothing unbiased of the policy",
            hint="replay the random log",
        )


def render(summary: Summary) -> RenderableType:
    """A table of the rates with their intervals, and what they mean in words."""
    table = Table(
        title=f"Open Bandit Dataset, campaign {summary.campaign}: "
        f"{summary.visitors:,} real visitors sent",
        caption="Intervals: Clopper-Pearson. p: Fisher's exact test against random; the service's "
        "is against the rows that it did not match. Every row weighs 1: the effective sample size "
        "is the number of rows.",
        caption_justify="left",
    )
    table.add_column("policy")
    for column in ("rows", "clicks", "click rate", "95 % interval", "p"):
        table.add_column(column, justify="right")
    table.add_row("service, matched rows", *_cells(summary.drive.matched), f"{summary.p_value:.2g}")
    table.add_row("random, whole log", *_cells(summary.random), "")
    table.add_row("bts, whole log", *_cells(summary.bts), f"{summary.bts_p_value:.2g}")
    return Group(table, *statements(summary))


def _cells(rate: Rate) -> tuple[str, str, str, str]:
    low, high = rate.interval
    value = _percent(rate.value) if rate.rows else "none"
    return f"{rate.rows:,}", str(rate.clicks), value, f"{_percent(low)} to {_percent(high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def statements(summary: Summary) -> tuple[str, ...]:
    """What the numbers allow one to say, one sentence or two each."""
    troubles = (
        (summary.drive.rejected, "events were not accepted: the service learned less than it saw."),
        (summary.drive.repeated, "requests were sent again: some decisions have no visitor."),
    )
    return (
        _verdict(summary),
        _power(summary),
        _scale(summary),
        *(f"{count:,} {what}" for count, what in troubles if count),
    )


def _verdict(summary: Summary) -> str:
    low, high = summary.drive.matched.interval
    where = "inside" if low <= summary.random.value <= high else "outside"
    found = f"random's own rate lies {where} its interval, p = {summary.p_value:.2g}"
    if summary.significant:
        return (
            f"The service's rate differs from random's: {found}. One run is one draw: repeat it "
            "before believing it."
        )
    return f"Not significant: too few clicks to tell the service's policy from random ({found})."


def _power(summary: Summary) -> str:
    matched, needed = summary.drive.matched, summary.clicks_needed
    if needed is None:
        return f"On {matched.rows:,} matched rows no policy could have been told from random."
    least = Rate(needed, matched.rows)
    times = least.value / summary.random.value
    return (
        f"On {matched.rows:,} matched rows any policy needs {needed} clicks or more, "
        f"{times:.1f} times random's rate, before it can be told from random at the 5 % level."
    )


def _scale(summary: Summary) -> str:
    differs = "differ" if summary.bts_p_value < SIGNIFICANCE else "do not differ significantly"
    return (
        f"For scale: bts and random {differs} over their whole logs of {summary.bts.rows:,} and "
        f"{summary.random.rows:,} rows (p = {summary.bts_p_value:.2g})."
    )


@click.command()
@click.argument("campaign", type=click.Choice(get_args(Campaign)))
@click.option("--url", required=True, help="Address of a running service.")
@click.option("--site-key", required=True, help="A key of the role `site`.")
@click.option("--editor-key", required=True, help="A key of the role `editor`.")
@click.option("--limit", type=click.IntRange(min=1), help="Send only so many visitors.")
def main(campaign: Campaign, url: str, site_key: str, editor_key: str, limit: int | None) -> None:
    """Drive a running service with the real visitors of one campaign's random log."""
    console = Console()
    try:
        summary = run(url, editor_key, site_key, campaign, limit=limit, console=console)
    except BanditError as exc:
        hint = f"\nHint: {exc.hint}" if exc.hint else ""
        raise click.ClickException(f"{exc.message}{hint}") from exc
    console.print(render(summary))


if __name__ == "__main__":
    main()
