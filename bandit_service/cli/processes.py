"""Child processes that never outlive their parent, and are never killed by name.

A child runs in a session of its own, so that Ctrl-C in the terminal reaches the parent alone,
which stops its children in order. Where the parent is killed outright, a child that was given
``--parent`` notices and stops itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bandit_service.errors import BanditError

STOP_SECONDS: Final = 10.0
"""How long a child may take to stop before it is killed."""
READY_SECONDS: Final = 60.0
_RESTART_SECONDS: Final = 1.0
_WATCH_SECONDS: Final = 0.5


class Child:
    """A child process; ``keep`` starts it again whenever it dies by itself.

    Once it was asked to stop it has ``patience`` seconds until it is killed. So several that were
    asked first, and are waited for then, take no longer together than one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        keep: bool = False,
        patience: float = STOP_SECONDS,
    ) -> None:
        self._patience = patience
        self._stop_by = 0.0
        self._lock = threading.Lock()
        self._command = list(command)
        self._environ = dict(os.environ if environ is None else environ)
        self._stopping = threading.Event()
        self._process = self._spawn()
        if keep:
            threading.Thread(target=self._keep, name="keeper", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether the process is alive now."""
        return self._process.poll() is None

    def ask_to_stop(self) -> None:
        """SIGTERM, once, without waiting for it."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
            self._stop_by = time.monotonic() + self._patience
            if self.running:
                self._process.terminate()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not heeded in time."""
        self.ask_to_stop()
        try:
            self._process.wait(max(0.0, self._stop_by - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            self._command, env=self._environ, start_new_session=True
        )

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._process.wait()
            self._stopping.wait(_RESTART_SECONDS)
            with self._lock:
                if not self._stopping.is_set():
                    self._process = self._spawn()


def stop_on_signals(stop: threading.Event) -> None:
    """Set ``stop`` on SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def stop_with_parent(parent: int | None) -> None:
    """Send this process SIGTERM once ``parent`` is no longer its parent; None: never."""
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextlib.contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """Within, SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that ``finally`` is run."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def free_port() -> int:
    """A TCP port on the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(url: str, child: Child) -> None:
    """Wait until ``url`` answers 200.

    Raises:
        BanditError: if the child died, or takes too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if not child.running:
            raise BanditError(
                "the service did not start", hint="its own words stand above this line"
            )
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=2),  # noqa: S310 - our own http address
        ):
            return
        time.sleep(0.05)
    raise BanditError(f"the service was not ready within {READY_SECONDS:g} seconds")
