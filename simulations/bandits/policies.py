"""Policies by name: the service's own, as settings say, and its rivals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from bandit_service.errors import InvalidInput
from bandit_service.policy.settings import SiteSettings, read_settings
from simulations.bandits.base import Player, World
from simulations.bandits.live import Live
from simulations.bandits.ours import Ours
from simulations.bandits.rivals import RIVALS
from simulations.bandits.rivals.entry import Make, Rival

FORMS: Final[Mapping[str, str]] = {
    "ours[:FILE.toml]": "this service under its default settings or those of a file, no holdout",
    "ours-shipped[:FILE.toml]": "the same, as it is shipped: with the holdout",
    "live[:FILE.toml]": "as ours, over HTTP and Redis, in processes of its own; for the world duel",
}
"""Policies of which there are as many as there are settings."""
_OWN: Final = ("ours", "ours-shipped", "live")


def make(name: str) -> Make:
    """How a player of that name is made.

    Raises:
        InvalidInput: if there is none, or a package that it needs is not installed.
        SettingsError: if the file of its settings cannot be used.
    """
    kind, _, rest = name.partition(":")
    if kind in _OWN:
        settings = _settings(rest)
        settings = settings if kind == "ours-shipped" else without_holdout(settings)
        return partial(_own, Live if kind == "live" else Ours, settings)
    rival = RIVALS.get(name)
    if rival is None:
        raise InvalidInput(
            f"there is no policy {name[:80]!r}",
            field="policies",
            hint="known are " + ", ".join((*FORMS, *RIVALS)),
        )
    check_installed(name, rival)
    return rival.make


def check_installed(name: str, rival: Rival) -> None:
    """Raise InvalidInput unless the package that a rival needs is there."""
    if rival.package and find_spec(rival.module or rival.package) is None:
        raise InvalidInput(
            f"the policy {name!r} needs {rival.package}, which is not installed",
            field="policies",
            hint=f"pip install {rival.package}, or leave {name!r} out",
        )


def without_holdout(settings: SiteSettings) -> SiteSettings:
    """The settings without the holdout: no rival pays for one."""
    policy = msgspec.structs.replace(settings.policy, holdout=0.0)
    return msgspec.structs.replace(settings, policy=policy)


def _settings(file: str) -> SiteSettings:
    if not file:
        return SiteSettings()
    path = Path(file)
    try:
        return read_settings(path.read_bytes(), name=file)
    except OSError as exc:
        raise InvalidInput(
            f"{file} cannot be read: {exc.strerror}", field="policies", hint="is the path right?"
        ) from exc


def _own(kind: type[Ours] | type[Live], settings: SiteSettings, world: World, seed: int) -> Player:
    return kind(world, settings, seed=seed)
