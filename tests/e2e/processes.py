"""Real processes for end-to-end tests: started here, found by their own ids, stopped here."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from bandit_service.cli.processes import free_port

SITE_TOML = """
[rewards]
window_seconds = 2.0
[policy]
typical_reward = 0.25
learning_rate = 0.05
slot_seconds = 3.0
holdout = 0.2
"""


class Program:
    """``bandit-service`` with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.running: list[subprocess.Popen[str]] = []
        self._callers: list[Caller] = []
        config = folder / "config"
        config.mkdir()
        (config / "site.toml").write_text(SITE_TOML)
        dropped = ("REDIS_URL", "BANDIT_")
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | {
            "BANDIT_DATA_DIR": str(folder / "data"),
            "BANDIT_CONFIG_DIR": str(config),
            "BANDIT_LOG_LEVEL": "warning",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return self._spawn(words, subprocess.PIPE)

    def _spawn(self, words: Sequence[str], output: int | IO[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bandit_service", *words],
            env=self.environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def serve(self, *words: str) -> subprocess.Popen[str]:
        """Start ``serve`` and wait until it is ready."""
        process = self.start("serve", "--port", str(self.port), "--workers", "2", *words)
        until(lambda: self.answers("/readyz") or process.poll() is not None, 60)
        assert process.poll() is None, process.communicate()
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "bandit_service", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def key(self, role: str) -> str:
        """A new key."""
        made = self.run("keys", "create", "--role", role)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def caller(self, key: str) -> Caller:
        """A connection of its own, closed in the end."""
        self._callers.append(Caller(self.port, key))
        return self._callers[-1]

    def answers(self, path: str) -> bool:
        """Whether the service answers 200 there."""
        caller = Caller(self.port, "")
        try:
            return caller.call("GET", path)[0] == 200
        except OSError:
            return False
        finally:
            caller.close()

    def stop(self) -> None:
        """End whatever still runs."""
        for caller in self._callers:
            caller.close()
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.communicate(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
            if process.stdout is not None:
                process.stdout.close()

    def leftovers(self) -> list[str]:
        """Command lines of processes, of any parent, that still speak of this folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except (OSError, UnicodeDecodeError):
                    continue
                if str(self.folder) in line:
                    found.append(line)
        return found


class Caller:
    """One keep-alive connection with one key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and decoded body."""
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, body=data, headers=self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text) if text else None
        except json.JSONDecodeError:
            return answer.status, text

    def close(self) -> None:
        """Drop the connection."""
        self._connection.close()


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition; fail if it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
