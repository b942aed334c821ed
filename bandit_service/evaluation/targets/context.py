"""What targets are made with: everything that is not in their words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bandit_service.errors import InvalidInput, NotFound
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import Snapshot


def no_snapshots(name: str) -> Snapshot:
    """The look-up where there is no store to look into."""
    raise NotFound(
        f"there is no file {name!r}, and no site whose snapshot it could be",
        hint="give the site with --site, or the path of a snapshot's file",
    )


def no_logs(words: str) -> LoggedData:
    """The opening of logs where there are none to open."""
    raise InvalidInput(f"the log {words!r} cannot be opened here")


@dataclass(frozen=True, kw_only=True)
class TargetContext:
    """Where a target finds what its words name. To make one is cheap; nothing is opened yet."""

    settings: SiteSettings = field(default_factory=SiteSettings)
    """Those of the evaluation, which say what the rows of a log with entries earned."""
    snapshot: Callable[[str], Snapshot] = no_snapshots
    """The snapshot of a name. Raises a BanditError where there is none."""
    open_log: Callable[[str], LoggedData] = no_logs
    """Another log, by its words. The caller closes it."""
    python_path: tuple[Path, ...] = ()
    """Folders in which modules of the user are looked for first."""
