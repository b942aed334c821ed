"""Creatives through the running service: uploaded, scheduled and finished in every process."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bandit_service.media.store import MAX_BYTES
from tests.e2e.processes import Program, until
from tests.media.pictures import photo, saved, shown

pytestmark = [pytest.mark.slow, pytest.mark.redis]

PHOTO = saved(photo(), "JPEG")
NEWS = "/v1/placements/news"


class Desk:
    """An editor and a website; each request comes over a connection of its own, to any process."""

    def __init__(self, program: Program) -> None:
        self._port = program.port
        self._keys = {role: program.key(role) for role in ("editor", "site")}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "editor",
        chunked: bool = False,
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._keys[role]}"}
        sent: Any = data
        if chunked and data is not None:
            sent = (data[n : n + 65_536] for n in range(0, len(data), 65_536))
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as link:
            link.request(method, path, sent, headers, encode_chunked=chunked)
            answer = link.getresponse()
            return answer.status, answer.read()

    def told(self, method: str, path: str, body: Any = None) -> Any:
        """What a request is answered that goes well."""
        status, answer = self.ask(method, path, body)
        assert status in (200, 201), answer
        return json.loads(answer)

    def shown(self) -> set[str]:
        """Which variants a website is told to show; none by a process that has not heard yet."""
        found = set()
        for _ in range(60):
            status, answer = self.ask("POST", "/v1/decide", {"placement": "news"}, role="site")
            found.add(json.loads(answer)["variant"]["id"] if status == 200 else "")
        return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A service of two web processes and a learner."""
    program = Program(tmp_path_factory.mktemp("creatives"))
    try:
        program.serve("--no-archive", "--no-seed-catalog")
        yield program
    finally:
        program.stop()


@pytest.fixture(scope="module")
def desk(program: Program) -> Desk:
    return Desk(program)


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_an_uploaded_picture_is_shown_by_every_process(desk: Desk, program: Program) -> None:
    answer = desk.told("POST", "/v1/media", PHOTO)

    assert answer["url"] == f"http://127.0.0.1:{program.port}/media/{answer['name']}"
    for _ in range(10):
        status, picture = desk.ask("GET", f"/media/{answer['name']}")
        assert (status, shown(picture).size) == (200, (320, 200))
    assert (Path(program.environ["BANDIT_DATA_DIR"]) / "media" / answer["name"]).exists()


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "in chunks"])
def test_who_sends_too_much_sees_the_answer(desk: Desk, chunked: bool) -> None:
    status, body = desk.ask("POST", "/v1/media", bytes(MAX_BYTES + 2_000_000), chunked=chunked)

    assert status == 413
    assert str(MAX_BYTES) in json.loads(body)["error"]["hint"]


def test_a_placement_is_scheduled_and_finished_in_every_process(desk: Desk) -> None:
    # given two variants, and a third that is to come
    def news(begin: str) -> dict[str, Any]:
        plain = {"status": "live", "min_share": 0.3}
        variants = [{"id": name, "headline": name, **plain} for name in "abc"]
        variants[2]["live_from"] = begin
        return {"kind": "headline", "canonical": "b", "variants": variants}

    desk.told("PUT", NEWS, news(soon(3600)))
    until(lambda: desk.shown() == {"a", "b"}, 60)

    # when its moment comes, and then the end of it all
    desk.told("PUT", NEWS, news(soon(2)))
    until(lambda: desk.shown() == {"a", "b", "c"}, 60)
    desk.told("PUT", f"{NEWS}/finish", {"at": soon(1)})
    until(lambda: desk.told("GET", NEWS)["finish"].get("since") is not None, 60)

    # then the winner alone is shown, and the history says who saw to it
    until(lambda: desk.shown() == {"b"}, 60)
    newest = desk.told("GET", f"{NEWS}/history")["changes"][0]
    assert newest["by"] == "finish"
    assert newest["differences"][0]["after"]["winner"] == "b"

    # and it is taken back
    desk.told("POST", f"{NEWS}/revert", {"revision": newest["revision"] - 2})
    until(lambda: desk.shown() == {"a", "b", "c"}, 60)
