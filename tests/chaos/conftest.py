"""What tests of crashes have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A service in a folder of its own, ended whatever the test did to it."""
    with tempfile.TemporaryDirectory(prefix="bandit-chaos-") as name:
        made = Service(Path(name))
        yield made
        made.end()
