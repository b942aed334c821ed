"""Children: asked to stop together, waited for together, and never started again after that."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bandit_service.cli.processes import Child
from tests.e2e.processes import until

DEAF = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def deaf_child(ready: Path) -> Child:
    """A child that does not heed SIGTERM, and is started again when it dies."""
    return Child([sys.executable, "-c", DEAF, str(ready)], keep=True, patience=2.0)


def test_several_that_do_not_heed_are_waited_for_no_longer_than_one(tmp_path: Path) -> None:
    children = [deaf_child(tmp_path / name) for name in ("a", "b", "c")]
    until(lambda: len(list(tmp_path.iterdir())) == len(children), 30)

    began = time.monotonic()
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.stop()

    assert 2.0 <= time.monotonic() - began < 4.0
    assert not any(child.running for child in children)
