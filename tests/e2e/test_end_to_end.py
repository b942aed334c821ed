"""The whole service as its users run it: real processes, real Redis, HTTP."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bandit_service.access import digest_of
from bandit_service.events.entries import START, Decision, Position, decode
from bandit_service.folds.site import SiteFold
from bandit_service.policy.settings import read_settings
from bandit_service.policy.snapshot import SnapshotName
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.ports import SiteStore
from bandit_service.storage.redis_store import RedisStore
from tests.e2e.processes import SITE_TOML, Caller, Program, until

pytestmark = pytest.mark.slow

RATES = {
    "romantic": {"kiss": 0.6, "chase": 0.1, "joke": 0.1},
    "action": {"kiss": 0.1, "chase": 0.6, "joke": 0.1},
}
PLACEMENT = {
    "kind": "headline",
    "variants": [
        {"id": name, "headline": f"A {name}", "tags": [name], "status": "live"}
        for name in ("kiss", "chase", "joke")
    ],
}
PERSONAS = {
    "personas": [
        {"id": name, "rules": [{"trait": "genres", "any": [name], "weight": 2}]} for name in RATES
    ]
}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.stop()


def registered(program: Program) -> tuple[Caller, str]:
    """The placement and personas registered over HTTP; a site's caller and the editor's key."""
    editor_key = program.key("editor")
    editor = program.caller(editor_key)
    assert editor.call("PUT", "/v1/placements/film", PLACEMENT)[0] == 200
    assert editor.call("PUT", "/v1/personas", PERSONAS)[0] == 200
    site = program.caller(program.key("site"))
    until(lambda: site.call("POST", "/v1/decide", {"placement": "film"})[0] == 200, 5)
    return site, editor_key


def visit(site: Caller, rng: random.Random, number: int) -> tuple[dict[str, object], float]:
    """One visitor: the answer, and the true click rate of what was shown."""
    persona = rng.choice(sorted(RATES))
    request = {"placement": "film", "visitor": f"v{number}", "traits": {"genres": [persona]}}
    status, answer = site.call("POST", "/v1/decide", request)
    assert status == 200, answer
    rate = RATES[persona][answer["variant"]["id"]]
    events = [{"decision": answer["decision"], "type": "impression"}]
    if rng.random() < rate:
        events.append({"decision": answer["decision"], "type": "click"})
    status, receipt = site.call("POST", "/v1/events", {"events": events})
    assert (status, receipt["rejected"]) == (202, [])
    return answer, rate


def folded_name(store: RedisStore) -> str:
    """The name of the snapshot that folding the whole log makes."""
    site = store.site("main")
    fold = SiteFold(read_settings(SITE_TOML.encode(), name="site.toml"))
    try:
        for position, data in site.read(START, limit=1_000_000):
            fold.apply(position, decode(data))
        return fold.snapshot().name
    finally:
        fold.close()


def reached(log: SiteStore) -> Position:
    """How far the snapshot that serves has read the log."""
    head = log.head()
    return START if head is None else head.position


def test_a_site_learns_survives_its_learner_and_can_be_rebuilt_and_explained(
    program: Program,
) -> None:
    # given a service whose learner runs apart, so that it can be killed
    serving = program.serve("--no-learn", "--no-seed-catalog")
    redis = EmbeddedRedis(data_dir=program.folder / "data")
    store = RedisStore(redis.start())
    site, editor_key = registered(program)
    learner = program.start("learn")
    rng = random.Random(7)
    log = store.site("main")
    kills: list[Position] = []

    # when visitors come, and the learner is killed twice while they do
    seen: list[tuple[dict[str, object], float]] = []
    for number in range(1_500):
        seen.append(visit(site, rng, number))
        if number in (400, 800):
            learner.kill()
            learner.communicate()
            kills.append(log.tail())
            learner = program.start("learn")
        if number == 900:  # on a busy machine the visitors would be gone before it is up
            until(lambda: reached(log) > kills[-1], 20)
        time.sleep(0.002)

    # then later choices of the policy beat the uniform holdout by the truth
    late = seen[900:]
    policy = statistics.mean(rate for answer, rate in late if answer["reason"] != "holdout")
    holdout = statistics.mean(rate for answer, rate in late if answer["reason"] == "holdout")
    assert policy > holdout + 0.1
    assert len({answer["snapshot"] for answer, _ in seen}) > 3

    # and nothing was lost or learned twice: the live snapshot is the fold of the log, to the byte
    time.sleep(3)  # the last windows end
    until(lambda: reached(log) == log.tail(), 15)
    head = log.head()
    assert head is not None
    assert head.name == folded_name(store)
    logged = [decode(data) for _, data in log.read(START, limit=1_000_000)]
    answered = {str(answer["decision"]) for answer, _ in seen}
    assert answered <= {entry.id for entry in logged if isinstance(entry, Decision)}

    def reported() -> bool:  # reports come with checkpoints, a moment behind the snapshots
        counts = editor.call("GET", "/v1/reports/learning")[1]["counts"]
        return bool(counts["rewarded"] + counts["defaulted"] >= len(answered))

    editor = program.caller(editor_key)
    until(reported, 10)

    # and any decision can be explained, and other settings adopted while the service answers
    explained = program.run("explain", str(seen[1_000][0]["decision"]))
    assert explained.returncode == 0, explained.stderr
    assert "agrees bit for bit" in explained.stdout
    _rebuild(program, site)

    # and everything stops when told to
    learner.send_signal(signal.SIGTERM)
    learner.communicate(timeout=10)
    assert learner.returncode == 0
    serving.send_signal(signal.SIGTERM)
    output, _ = serving.communicate(timeout=15)
    assert serving.returncode == 0, output
    assert output.startswith("Redis ")
    assert "embedded" in output.splitlines()[0]
    store.close()
    redis.stop()
    until(lambda: not program.leftovers(), 10)


def _rebuild(program: Program, site: Caller) -> None:
    """Adopt another learning rate, and wait until it serves."""
    other = program.folder / "other.toml"
    other.write_text(SITE_TOML.replace("learning_rate = 0.05", "learning_rate = 0.02"))
    rebuilt = program.run("rebuild", "--settings", str(other))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "policy.learning_rate" in rebuilt.stdout
    wanted = read_settings(other.read_bytes(), name="other").id

    def serves_rebuilt() -> bool:
        _, answer = site.call("POST", "/v1/decide", {"placement": "film"})
        return SnapshotName.parse(answer["snapshot"]).settings == wanted

    until(serves_rebuilt, 5)


def test_data_and_keys_are_found_again_at_the_next_start(program: Program) -> None:
    first = program.serve("--no-seed-catalog")
    site, _ = registered(program)
    answer = site.call("POST", "/v1/decide", {"placement": "film"})[1]
    key = program.key("site")
    first.send_signal(signal.SIGTERM)
    assert first.wait(15) == 0

    program.serve("--no-seed-catalog")

    again = program.caller(key)
    assert again.call("POST", "/v1/decide", {"placement": "film"})[0] == 200
    event = {"decision": answer["decision"], "type": "click"}
    assert again.call("POST", "/v1/events", {"events": [event]})[1]["accepted"] == 1


def test_a_learner_that_dies_beside_serve_is_started_again(program: Program) -> None:
    serving = program.serve("--no-seed-catalog")
    site, _ = registered(program)

    def learner() -> int:
        for task in Path(f"/proc/{serving.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if b"learn" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    return int(child)
        return 0

    until(lambda: learner() > 0, 10)
    killed = learner()

    os.kill(killed, signal.SIGKILL)

    until(lambda: learner() not in (0, killed), 15)
    before = site.call("POST", "/v1/decide", {"placement": "film"})[1]
    event = {"decision": before["decision"], "type": "click"}
    site.call("POST", "/v1/events", {"events": [event]})
    until(
        lambda: (
            site.call("POST", "/v1/decide", {"placement": "film"})[1]["snapshot"]
            != before["snapshot"]
        ),
        10,
    )


def test_a_placement_registered_through_one_worker_is_known_to_all(program: Program) -> None:
    program.serve("--no-seed-catalog")
    site, editor_key = registered(program)
    program.caller(editor_key).call("PUT", "/v1/placements/second", PLACEMENT)

    def everywhere() -> bool:
        answers = [site.call("POST", "/v1/decide", {"placement": "second"})[0] for _ in range(20)]
        return answers == [200] * 20

    until(everywhere, 3)


def test_revoked_keys_are_refused_by_every_worker_within_two_seconds(program: Program) -> None:
    program.serve("--no-seed-catalog")
    key = program.key("site")
    callers = [program.caller(key) for _ in range(8)]
    listed = program.run("keys", "list")
    assert key not in listed.stdout
    assert digest_of(key)[:8] in listed.stdout
    for caller in callers:
        until(lambda c=caller: c.call("POST", "/v1/events", {"events": []})[0] == 202, 3)  # type: ignore[misc]

    key_id = digest_of(key)[:8]
    revoked = program.run("keys", "revoke", key_id)

    assert revoked.returncode == 0, revoked.stderr
    time.sleep(2)
    for caller in callers:
        assert caller.call("POST", "/v1/events", {"events": []})[0] == 401


def test_a_catalog_goes_out_and_comes_back_the_same(program: Program) -> None:
    source = Path(__file__).parents[2] / "config" / "catalog.toml"
    imported = program.run("catalog", "import", str(source))
    assert imported.returncode == 0, imported.stderr

    exported = program.run("catalog", "export")
    file = program.folder / "again.json"
    file.write_text(exported.stdout)
    program.run("catalog", "import", str(file), "--site", "copy")
    copied = program.run("catalog", "export", "--site", "copy")

    assert msgspec.json.decode(copied.stdout) == msgspec.json.decode(exported.stdout)
    assert len(msgspec.json.decode(exported.stdout)["placements"]) >= 6
