"""The client in processes of its own: what it imports, and forks, ends and threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bandit_service.client.event_queue import CLOSE_SECONDS
from tests.client.conftest import Serve, Took
from tests.client.servers import Request, Server, accepts, decides

ROOT = Path(__file__).parent.parent.parent
HEAVY = {
    *("vowpalwabbit", "redis", "hiredis", "flask", "werkzeug", "granian", "numpy", "scipy"),
    *("pyarrow", "plotly", "jinja2", "limits", "crawleruseragents", "click", "rich", "structlog"),
    *("prometheus_client", "platformdirs", "httpx", "asyncio", "multiprocessing"),
}


def finished(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, at its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run(script: str, *arguments: str) -> Any:
    """What a script prints as JSON."""
    done = finished(script, *arguments)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return json.loads(done.stdout or "null")


def both(server: Server, sock: Any, request: Request) -> None:
    (accepts if request.path == "/v1/events" else decides)(server, sock, request)


def test_a_website_that_imports_it_imports_nothing_that_the_service_runs_on() -> None:
    script = """
import json, sys
import bandit_service.client
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""
    imported = set(run(script))

    assert not imported & HEAVY
    foreign = imported - sys.stdlib_module_names - {"bandit_service", "__main__"}
    assert {name for name in foreign if not name.startswith("_")} <= {
        "msgspec",
        "typing_extensions",
    }


FORKED = """
import json, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
from bandit_service.client import Client, Visitor

with Client(sys.argv[1], "bk_main_x", deadline=5.0) as client:
    events = client.queue()
    answer = client.decide("film", strict=True)
    for n in range(3):
        events.event(answer, "click", id=f"before-{n}")
    children = []
    for child in range(3):
        pid = os.fork()
        if not pid:
            # given a child, which has the client from its parent, as a worker of a server has
            before = (events.waiting, client.counts.decisions)
            asked = [client.decide("film", Visitor(f"{child}")).reason for _ in range(20)]
            events.event(answer, "click", id=f"child-{child}")
            events.close()
            same = before == (0, 0) and asked == ["learned"] * 20
            os._exit(0 if same and client.counts.events_accepted == 1 else 1)
        children.append(pid)
    asked = [client.decide("film", Visitor("parent")).reason for _ in range(20)]
    ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    events.close()
    print(json.dumps([ends, asked == ["learned"] * 20, client.counts.events_accepted]))
"""


def test_a_forked_process_has_connections_and_events_of_its_own(serve: Serve) -> None:
    server = serve(both)

    assert run(FORKED, server.url) == [[0, 0, 0], True, 3]

    assert sorted(server.event_ids) == [
        *("before-0", "before-1", "before-2"),
        *("child-0", "child-1", "child-2"),
    ]
    decided = [r.json["visitor"] for r in server.requests if r.path == "/v1/decide"]
    assert sorted(v for v in decided if v) == sorted([*"012", "parent"] * 20)
    assert server.connections >= 4  # parent and children, each its own


LEFT_OPEN = """
import sys, warnings
warnings.simplefilter("ignore", ResourceWarning)  # it is not closed
from bandit_service.client import Client
client = Client(sys.argv[1], "bk_main_x", deadline=5.0)
events = client.queue()
for n in range(100):
    events.event("d" * 32, "click", id=str(n))
"""


@pytest.mark.parametrize("end", ["", "sys.exit()", "import signal; signal.raise_signal(2)"])
def test_the_end_of_a_process_sends_what_is_left(serve: Serve, end: str) -> None:
    server = serve(accepts)
    caught = f"try:\n    {end or 'pass'}\nexcept KeyboardInterrupt:\n    pass\n"

    run(LEFT_OPEN + caught, server.url)

    assert server.event_ids == [str(n) for n in range(100)]


@pytest.mark.slow
def test_the_end_of_a_process_does_not_wait_long_for_a_dead_service_and_says_what_is_lost(
    serve: Serve,
) -> None:
    server = serve(accepts)
    server.deafen()

    with Took() as took:
        done = finished(LEFT_OPEN, server.url)

    assert took.seconds < CLOSE_SECONDS + 5
    assert done.returncode == 0, done.stderr
    assert "100 events are lost: the service did not take them before the end" in done.stderr
