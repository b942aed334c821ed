"""The fuzzer: everything that ``/openapi.json`` says, tried by schemathesis with every check on.

All phases run: the document's examples, the bounds of its schemas, drawn requests, and walks along
its links. What JSON Schema cannot say (an id that must be unused, shares that must add up) is named
in ``BEYOND``: well-formed requests may be refused for these reasons and for no other. Some requests
come from a crawler, or from a browser that prefetches.

    make fuzz ARGS='--seconds 600'        # a new seed for each walk; it is printed
    make fuzz ARGS='--seed 7'             # the same walk again
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final, NamedTuple
from zlib import crc32
from zoneinfo import available_timezones

import click
import schemathesis
from flask import Flask
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.engine import Status, events, from_schema
from werkzeug.serving import WSGIRequestHandler, make_server

from bandit_service.catalog.document import read_document
from bandit_service.events.entries import START, decode
from bandit_service.events.identity import DECISION_ENTROPY
from bandit_service.media.blobs import FolderBlobs
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.serving.decide import decide
from bandit_service.serving.requests import MAX_KEYS, DecideRequest, InlineVariant
from bandit_service.settings import ServiceSettings
from bandit_service.storage.memory import MemoryStore
from bandit_service.web.app import create_app
from bandit_service.web.examples import PARAMETERS
from tests.media.pictures import bomb, drawing, photo, saved

ROOT: Final = Path(__file__).parents[2]
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")

ACCEPTED: Final = ["2xx", "302", "400", "401", "404", "409", "412", "422"]
"""Statuses of a well-formed request. 400 and 422 only as BEYOND has them: see ``beyond_schema``."""
REFUSED: Final = ["400", "401", "404", "405", "409", "412", "413", "415", "422"]
"""Statuses of a malformed one. Never 5xx, which schemathesis would let pass."""

BEYOND: Final = {
    400: (
        r"there is no persona",
        r"the body names .*, the path",
        r"two candidates have the same id",
        r"Invalid RFC3339 encoded datetime",  # the 30th of February
        r".* is a placement of headlines",
        r".* is retired",
        r"home .* is not the address of a website",  # its host cannot be
        r"Expected `int`, got `float`",  # 831.0 is whole to JSON Schema
    ),
    422: (
        r"a (headline|card|thumbnail) needs",
        r"shares .* are not a range",
        r"the min_share of the live variants add up",
        r"variant .* is listed twice",
        r"variant .* cannot become a draft again",
        r"persona .* is reserved or listed twice",
        r"a rule needs exactly one condition",
        r"this is |the picture (has|is|moves)",
        r"live_until .* is not after live_from",
        r"finish (says neither|has been over since|names a winner, and waits)",
        r"(canonical|winner) .* is no variant of this placement",
        r"the winner .* is (draft|paused|retired)",
        r"canonical .* is no variant",
    ),
}
"""By status, the messages of rules that hold between fields, or with what is stored."""

ROBOT: Final = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PREFETCH: Final = {"Origin": "https://shop.example", "Sec-Purpose": "prefetch;prerender"}

TAG: Final = re.compile(r'\*|"[0-9a-f]{16}"')
"""What a precondition may hold that was not made up."""

RETIRED: Final = (
    "GET /v1/placements/{placement}",
    "GET /v1/placements/{placement}/variants/{variant}",
)
"""Readable after DELETE, as retired: versions are never reused, and reports speak of them. So
``use_after_free`` is off for these two, and ``retired_after_delete`` holds them instead."""


_DRAWN: Final = saved(drawing(), "PNG")
PICTURES: Final = st.sampled_from(
    [_DRAWN, saved(photo(), "JPEG"), b"<svg/>", b"", _DRAWN[:99], bomb(20_000, 10_000)]
)
"""What is uploaded."""

Case = schemathesis.Case[Any]


class Report(NamedTuple):
    """What a run found."""

    failures: list[str]
    answers: Counter[str]
    """By operation and status (or ``canonical``), how many answers there were."""
    services: Services


@schemathesis.check
def beyond_schema(ctx: schemathesis.CheckContext, response: Response, case: Case) -> None:
    """A well-formed request is refused only for a reason that no schema can state."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code in BEYOND:
        message = response.json()["error"]["message"]
        if not any(re.match(reason, message) for reason in BEYOND[response.status_code]):
            raise _failure(case, "Refused for a reason that the schema should name", message)


@schemathesis.check
def retired_after_delete(ctx: schemathesis.CheckContext, response: Response, case: Case) -> None:
    """What is read right after a DELETE is retired."""
    parent = ctx.internals.find_parent(case_id=case.id)
    if case.operation.label not in RETIRED or response.status_code != 200 or parent is None:
        return
    before = ctx.internals.find_response(case_id=parent.id)
    same = parent.path == case.path and parent.path_parameters == case.path_parameters
    if parent.method == "DELETE" and same and before is not None and before.status_code == 204:
        body = response.json()
        if body.get("retired", body.get("status") == "retired") is not True:
            raise _failure(case, "Still in use after DELETE", str(body)[:300])


@schemathesis.check
def clicks_are_accepted(ctx: schemathesis.CheckContext, response: Response, case: Case) -> None:
    """A click on a decision that was just made is logged."""
    parent = ctx.internals.find_parent(case_id=case.id)
    if parent is None or case.operation.label != "POST /v1/events" or response.status_code != 202:
        return
    if "Sec-Purpose" in case.headers:
        return
    before = ctx.internals.find_response(case_id=parent.id)
    if before is None or before.status_code != 200 or not parent.path.startswith("/v1/decide"):
        return
    answer = before.json()
    first = [slot["decision"] for slot in answer.get("slots", [answer]) if slot["logged"]][:1]
    sent = case.body["events"] if isinstance(case.body, dict) else []
    clicks = [{"decision": decision, "type": "click"} for decision in first]
    if clicks and sent == clicks and response.json()["accepted"] != 1:
        raise _failure(case, "A click on a fresh decision was turned away", response.text[:300])


def _failure(case: Case, title: str, message: str) -> Failure:
    return Failure(operation=case.operation.label, title=title, message=message, case_id=case.id)


def service(seed: int, folder: str) -> Services:
    """Services in memory, with the shipped catalog and a first snapshot, and a data folder."""
    services = Services(
        ServiceSettings(data_dir=folder, media_rate="", management_rate=""),
        MemoryStore(),
        entropy=Random(seed).randbytes,
        site_settings=SiteSettings(),
    )
    services.ensure_snapshot("main")
    data = (ROOT / "config" / "catalog.toml").read_bytes()
    services.editor("main", by="test").put_document(read_document(data, name="catalog.toml"))
    # The picture of the document's example, whatever a picture is drawn as here.
    FolderBlobs(services.settings.media_path).put(PARAMETERS["picture"], saved(photo(), "JPEG"))
    services.refresh()
    return services


@cache
def _prepare() -> None:
    """What schemathesis is told once for the whole process."""
    schemathesis.openapi.format("iana-timezone", st.sampled_from(sorted(available_timezones())))
    for media in ("image/jpeg", "image/png", "image/webp", "image/gif"):
        schemathesis.openapi.media_type(media, PICTURES)
    schemathesis.hook("before_call")(_spare_conditions)
    schemathesis.hook("before_call")(_come_as_robots)


def _spare_conditions(
    context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]
) -> None:
    """Drop most made-up preconditions: they all fail, and what lies behind them goes untried."""
    if case.meta is None or case.meta.is_negative_at(ParameterLocation.HEADER):
        return
    for name in ("If-Match", "If-None-Match"):
        value = str(case.headers.get(name, "*"))
        if not TAG.fullmatch(value) and crc32(value.encode("utf-8", "replace")) % 5:
            del case.headers[name]


def _come_as_robots(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Have some calls of websites come from crawlers and prefetching browsers."""
    if case.meta is None or not case.path.startswith(("/v1/decide", "/v1/events")):
        return
    lot = crc32(repr(case.body).encode("utf-8", "replace")) % 6
    if lot == 0 and not case.meta.is_negative_at(ParameterLocation.HEADER):
        case.headers.update(PREFETCH)
    elif lot == 1 and isinstance(case.body, dict):
        situation = case.body.get("context", {})
        if not case.meta.is_negative_at(ParameterLocation.BODY) and isinstance(situation, dict):
            said = dict(list(situation.items())[: MAX_KEYS - 1])  # cases share what they hold
            case.body = {**case.body, "context": {**said, "user_agent": ROBOT}}


def learn_all(services: Services) -> int:
    """Fold the log that a run left behind, and decide from what came of it; how many entries."""
    rows = services.store.site("main").read(START, limit=1_000_000)
    for _, data in rows:
        decode(data)
    learner = services.learner("main")
    while learner.step():
        pass
    learner.finish()
    services.refresh()
    answer = decide(
        services.view("main"),
        DecideRequest(placement="any", candidates=[InlineVariant(id="a", headline="A")]),
        now=services.clock(),
        entropy=services.entropy(DECISION_ENTROPY),
    )
    if answer.snapshot in ("none", ""):
        raise AssertionError("nothing was learned")
    return len(rows)


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request; keeps connections."""

    protocol_version = "HTTP/1.1"

    def log(self, *args: Any) -> None:
        pass


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address of ``app`` on a port of this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(*, seed: int, examples: int, steps: int, seconds: int | None = None) -> Report:
    """Fuzz a fresh service; ``examples`` a call and phase, walks of at most ``steps`` calls."""
    _prepare()
    with TemporaryDirectory() as folder:
        return _run(service(seed, folder), seed, examples, steps, seconds)


def _run(services: Services, seed: int, examples: int, steps: int, seconds: int | None) -> Report:
    key, _ = services.keys.create("main", "admin")
    services.refresh()
    failures: dict[str, str] = {}
    answers: Counter[str] = Counter()
    with served(create_app(services)) as url:
        config = _config(key, seed, examples, steps, seconds)
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
        for event in from_schema(schema).execute():
            services.refresh()
            _take(event, failures, answers)
    return Report([f"{name}\n{detail}" for name, detail in failures.items()], answers, services)


def _take(event: events.EngineEvent, failures: dict[str, str], answers: Counter[str]) -> None:
    if isinstance(event, events.NonFatalError):
        failures[f"{event.label}: {event.info.message}"] = event.info.format()
    elif isinstance(event, events.FatalError):
        raise event.exception
    elif isinstance(event, events.ScenarioFinished):
        answers.update(_answers(event))
        failures.update(_failures(event))


def _config(
    key: str, seed: int, examples: int, steps: int, seconds: int | None
) -> SchemathesisConfig:
    drawn = {"generation": {"max-examples": examples}}
    tree: dict[str, Any] = {
        "seed": seed,
        "auth": {"openapi": {"key": {"bearer": key}}},
        "generation": {"deterministic": seconds is None, "database": "none"},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ACCEPTED},
            "negative_data_rejection": {"expected-statuses": REFUSED},
        },
        "phases": {"fuzzing": drawn, "stateful": {**drawn, "max-steps": steps}},
        "operations": [
            {"include-name": name, "checks": {"use_after_free": {"enabled": False}}}
            for name in RETIRED
        ],
    }
    if seconds is not None:
        tree["max-time"] = seconds
    return SchemathesisConfig.from_dict(tree)


def _answers(event: events.ScenarioFinished) -> Iterator[str]:
    for case_id, interaction in event.recorder.interactions.items():
        node = event.recorder.cases.get(case_id)
        if node is not None and interaction.response is not None:
            canonical = b'"reason":"canonical"' in interaction.response.content
            status = "canonical" if canonical else interaction.response.status_code
            yield f"{node.value.operation.label} {status}"


def _failures(event: events.ScenarioFinished) -> Iterator[tuple[str, str]]:
    for checks in event.recorder.checks.values():
        for node in checks:
            if node.status == Status.FAILURE and node.failure_info is not None:
                failure = node.failure_info.failure
                name = f"{event.phase.value}: {node.name}: {failure.operation}: {failure.title}"
                yield name, f"{failure.message}\n{node.failure_info.code_sample}"


@click.command()
@click.option("--seed", type=int, help="Walk as a run with this seed did. [default: a new one]")
@click.option("--seconds", type=int, default=300, show_default=True, help="How long to go on.")
@click.option(
    "--examples", type=int, default=300, show_default=True, help="Draws a call and phase."
)
@click.option("--steps", type=int, default=8, show_default=True, help="Longest walk along links.")
def main(seed: int | None, seconds: int, examples: int, steps: int) -> None:
    """Fuzz the API, along its own description, with every check on."""
    end = time.monotonic() + seconds
    found = False
    while not found and (left := round(end - time.monotonic())) > 0:
        chosen = Random().getrandbits(32) if seed is None else seed
        report = run(seed=chosen, examples=examples, steps=steps, seconds=left)
        learned = learn_all(report.services)
        found = bool(report.failures)
        for failure in report.failures:
            click.echo(failure)
        click.echo(
            f"seed {chosen}: {report.answers.total()} answers, {learned} log entries folded, "
            f"{len(report.failures)} failures"
        )
        if seed is not None:
            break
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
