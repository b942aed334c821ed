"""The service as its users run it: processes of their own, HTTP, and a real Redis.

Started on the loopback address with a folder, a port and keys of its own, and stopped by its
process id. What ``ours`` calls in one process, this asks over the wire; both should earn the same.

The service lives in real time: its clock, its decision ids and Redis' stream are nobody's to set. A
window of ``WINDOW_S`` stands for the world's, and ``refresh`` waits until a snapshot is served that
was learned after the last window ended. So a world is refused unless all outcomes of a batch are
known before the next one begins, as in ``duel``: in others time would have to pass in between.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import numpy as np

from bandit_service.cli.processes import Child, free_port, wait_until_ready
from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import SnapshotName
from simulations.bandits.base import Batch, Floats, Whole, World
from simulations.bandits.ours import named, personas_spec, placement_spec

WINDOW_S: Final = 1.0
"""The reward window, in seconds; the shortest that settings allow."""
PATIENCE_S: Final = 30.0
"""How long a snapshot may take, in seconds."""
LOOK_S: Final = 0.05
"""Between two looks whether there is one."""
TIMEOUT_S: Final = 10.0
"""Of one request."""
COMMAND_S: Final = 60.0
"""Of making a key."""


class Live:
    """A running service as a player. Call ``close`` when done."""

    def __init__(self, world: World, settings: SiteSettings, *, seed: int) -> None:
        """Start the service for a site of its own, with an empty log.

        Raises:
            BanditError: if it does not start.
        """
        del seed  # its random numbers are the operating system's
        self._world = world
        self._names = named(world.personas)
        self._service = _Service(settings)
        self._untold = 0
        self._until = 0.0
        """A snapshot that was learned after this knows all there is, ms since the Unix epoch."""
        self._decisions: dict[int, tuple[Batch, list[str]]] = {}
        self._offered: dict[str, object] = {}
        try:
            self._service.put("/v1/personas", personas_spec(self._names))
        except BaseException:
            self._service.close()
            raise

    def choose(self, batch: Batch) -> Whole:
        """Ask for a variant for each impression.

        Raises:
            InvalidInput: if outcomes of the last batch are still to come.
            EvaluationError: if the service refuses, or does not answer.
        """
        if self._untold:
            raise InvalidInput(
                f"a running service cannot play {self._world.name}: outcomes of a batch come after "
                "the next one has begun",
                field="policies",
                hint="play duel with it, and ours elsewhere",
            )
        self._offer(batch)
        places = {arm.id: place for place, arm in enumerate(batch.spot.arms)}
        decisions: list[str] = []
        chosen = [places[self._decide(batch, row, decisions)] for row in range(len(batch.at))]
        self._decisions = {id(batch): (batch, decisions)}
        self._untold = len(chosen)
        self._until = _now() + 1000 * WINDOW_S
        return np.array(chosen, np.int64)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """Report a click for each row that was rewarded."""
        del chosen
        _, decisions = self._decisions[id(batch)]
        clicks = [
            {"decision": decisions[row], "type": "click"} for row in rows[rewards > 0].tolist()
        ]
        if clicks:
            answer = self._service.post("/v1/events", {"events": clicks}, 202)
            if answer["rejected"]:
                raise EvaluationError(f"a click was refused: {answer['rejected'][0]['message']}")
        self._untold -= len(rows)
        if (rewards > 0).all() and not self._untold:
            self._until = min(self._until, _now())

    def refresh(self) -> None:
        """Wait until everything that was told is served.

        Raises:
            EvaluationError: if that takes longer than PATIENCE_S.
        """
        deadline = time.monotonic() + PATIENCE_S
        while self._service.learned_until() <= self._until:
            if time.monotonic() > deadline:
                raise EvaluationError(f"no new snapshot was served within {PATIENCE_S:g} s")
            time.sleep(LOOK_S)

    def close(self) -> None:
        """Stop the service, and remove its folder."""
        self._service.close()

    def _decide(self, batch: Batch, row: int, decisions: list[str]) -> str:
        """Ask for one impression; the id of the variant shown."""
        visitor = int(batch.visitor[row])
        request: dict[str, object] = {
            "placement": batch.spot.id,
            "context": dict(zip(self._world.keys, batch.context[row], strict=True)),
        }
        persona = self._names[batch.persona[row]]
        if persona is not None:
            request["persona"] = persona
        if visitor >= 0:
            request["visitor"] = f"visitor-{visitor}"
        answer = self._service.post("/v1/decide", request, 200)
        decisions.append(answer["decision"])
        shown: str = answer["variant"]["id"]
        return shown

    def _offer(self, batch: Batch) -> None:
        """Register a placement, or what has changed of it, and wait until it is served."""
        spot = batch.spot
        offered = (spot.arms, spot.tags)
        if self._offered.get(spot.id) == offered:
            return
        self._service.put(f"/v1/placements/{spot.id}", placement_spec(spot))
        self._offered[spot.id] = offered
        time.sleep(2 * self._service.poll_s)


class _Service:
    """The processes, and two connections to them."""

    poll_s = 0.1
    """Between two looks of the web process for news."""

    def __init__(self, settings: SiteSettings) -> None:
        self._folder = TemporaryDirectory(prefix="bandit-service-live-")
        folder = Path(self._folder.name)
        (folder / "site.toml").write_text(toml_of(settings), encoding="utf-8")
        port = free_port()
        environ = {
            k: v for k, v in os.environ.items() if not k.startswith(("REDIS_URL", "BANDIT_"))
        }
        self._environ = environ | {
            "BANDIT_DATA_DIR": str(folder / "data"),
            "BANDIT_CONFIG_DIR": str(folder),
            "BANDIT_LOG_LEVEL": "error",
            "BANDIT_PORT": str(port),
            "BANDIT_WORKERS": "1",
            "BANDIT_POLL_SECONDS": str(self.poll_s),
            "BANDIT_PUBLISH_SECONDS": "0.1",
            "BANDIT_EVENTS_RATE": "",
            "BANDIT_MANAGEMENT_RATE": "",
        }
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        # The same process id, less what it tells the terminal: that belongs to the study.
        with_us = ("--parent", str(os.getpid()))  # and ends if this process is killed
        quiet = ["/bin/sh", "-c", 'exec "$0" "$@" >/dev/null', *_command("serve", *with_us)]
        self._child = Child(quiet, environ=self._environ)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz", self._child)
            self._keys = {role: self._key(role) for role in ("site", "editor")}
        except BaseException:
            self.close()
            raise

    def post(self, path: str, body: object, status: int) -> Any:
        """What a call with the website's key answers."""
        return self._call("POST", path, body, "site", (status,))

    def put(self, path: str, body: object) -> None:
        """A change by an editor."""
        self._call("PUT", path, body, "editor", (200, 201))

    def learned_until(self) -> int:
        """Up to which moment the log was read for the snapshot that serves, ms."""
        answer = self._call("GET", "/readyz", None, "site", (200,))
        return SnapshotName.parse(answer["snapshot"]).position.ms

    def close(self) -> None:
        """Stop the processes and remove the folder."""
        self._connection.close()
        self._child.stop()
        self._folder.cleanup()

    def _key(self, role: str) -> str:
        made = subprocess.run(  # noqa: S603 - our own program, no shell
            _command("keys", "create", "--role", role),
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if made.returncode:
            raise EvaluationError(f"no key could be made: {made.stderr.strip()}")
        return made.stdout.strip()

    def _call(
        self, method: str, path: str, body: object, role: str, expected: tuple[int, ...]
    ) -> Any:
        headers = {
            "Authorization": f"Bearer {self._keys[role]}",
            "Content-Type": "application/json",
        }
        data = None if body is None else msgspec.json.encode(body)
        try:
            self._connection.request(method, path, body=data, headers=headers)
            answer = self._connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, HTTPException) as exc:
            raise EvaluationError(f"{method} {path} was not answered: {exc}") from exc
        if status not in expected:
            raise EvaluationError(f"{method} {path} was refused: {status} {text[:300]!r}")
        return msgspec.json.decode(text)


def toml_of(settings: SiteSettings) -> str:
    """The settings as a file that the service reads, with the window that it can wait for."""
    rewards = msgspec.structs.replace(settings.rewards, window_seconds=WINDOW_S)
    tree = msgspec.to_builtins(msgspec.structs.replace(settings, rewards=rewards))
    return "\n".join(_sections(tree, ""))


def _sections(tree: dict[str, Any], name: str) -> list[str]:
    """A table of TOML and those below it; a JSON scalar or list of them is TOML as it stands."""
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict | None)}
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in plain.items()]
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += _sections(value, f"{name}.{key}" if name else key)
    return lines


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bandit_service", *words]


def _now() -> float:
    """Ms since the Unix epoch."""
    return time.time() * 1000
