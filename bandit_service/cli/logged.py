"""The log that a command reads: its arguments and options, and the log that they name.

Without LOG the site's own log is meant, archive included, and a store is opened; with files none
is, so that a log can be read on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from bandit_service.cli.options import (
    quiet_settings_from,
    services_from,
    shared_options,
    site_option,
)
from bandit_service.cli.sites import known_site, read_site_settings, serving_settings
from bandit_service.errors import InvalidInput, NotFound
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.logs.named import open_log
from bandit_service.evaluation.targets.context import no_snapshots
from bandit_service.events.entries import Position
from bandit_service.opening import reached_redis
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import Snapshot, load_snapshot
from bandit_service.runtime import spare_the_collector
from bandit_service.services import site_settings_of
from bandit_service.storage.ports import SiteStore

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("log", nargs=-1),
    click.option(
        "--mapping", help="How to read a table of others: a name in config/logs, or a file."
    ),
    click.option(
        "--settings",
        "settings_file",
        type=click.Path(path_type=Path),
        help="TOML with the rewards to use (default: of the snapshot that serves, or of config).",
    ),
    click.option(
        "--reward-range",
        type=(float, float),
        metavar="LOW HIGH",
        help="What a reward can be, where the log's own rules do not say.",
    ),
    click.option("--archive-dir", help="Folder of the archive."),
)


class Opened(NamedTuple):
    """A log, and what policies on it may refer to."""

    data: LoggedData
    settings: SiteSettings
    """What events are worth, and the policy of before."""
    other: Callable[[str], LoggedData]
    """Another log by its words, which whoever asks closes."""
    snapshot: Callable[[str], Snapshot]
    """A snapshot of the site by its name."""
    again: Callable[[], AbstractContextManager[LoggedData]]
    """The same log once more, under the same settings, up to the same end. Can be pickled, to open
    it in another process: a Redis of our own is found there for as long as this one runs."""


_READING = ("mapping", "settings_file", "reward_range")
"""Options that are no settings of the service."""


def log_options(command: Command) -> Command:
    """Which log to read, and how; call ``opened_log`` with what they give."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return shared_options(site_option(command))


@contextmanager
def opened_log(words: Sequence[str], options: dict[str, Any]) -> Iterator[Opened]:
    """The log that a command's arguments name, open for as long as the context.

    ``options`` are those of ``log_options``.

    Raises:
        InvalidInput: if the arguments do not fit together, or a file cannot be read.
        LogError: if the log cannot be read.
        NotFound: if there is no such site.
    """
    chosen = {name: options[name] for name in options if name not in _READING}
    settings_file, reward_range = options["settings_file"], options["reward_range"]
    _check_range(reward_range)
    rewards = None if settings_file is None else read_site_settings(settings_file)
    with _opened(words, chosen, options["mapping"], rewards, reward_range) as opened:
        yield opened


@contextmanager
def _opened(
    words: Sequence[str],
    options: dict[str, Any],
    mapping: str | None,
    rewards: SiteSettings | None,
    reward_range: tuple[float, float] | None,
    upto: Position | None = None,
) -> Iterator[Opened]:
    spare_the_collector()
    if words:
        service = quiet_settings_from(options)
        settings = rewards or site_settings_of(service)
        config, site = service.config_path, options.get("site")
        another = partial(open_log, settings=settings, config_path=config, mapping=mapping)
        again = partial(_again, words, options, mapping, settings, reward_range)
        with closing(another(words, site=site)) as log:
            _limit(log, reward_range)
            yield Opened(log, settings, lambda word: another([word]), no_snapshots, again)
        return
    if mapping is not None:  # before a store is opened in vain
        raise InvalidInput(
            "--mapping says how to read a file, and none was named",
            field="mapping",
            hint="name the file, or leave --mapping out to read the site's own log",
        )
    with (
        reached_redis(quiet_settings_from(options)) as url,
        services_from({**options, "redis_url": url}) as services,
    ):
        store = known_site(services, hint="name one with --site, or a file with a log")
        settings = rewards or serving_settings(services, store)
        history = services.history(store.site)
        config = services.settings.config_path
        another = partial(open_log, settings=settings, config_path=config)
        find = partial(_snapshot, store)
        at = {**options, "redis_url": url}
        end = history.tail() if upto is None else upto
        again = partial(_again, words, at, mapping, settings, reward_range, end)
        with closing(another((), history=history, upto=end)) as log:
            _limit(log, reward_range)
            yield Opened(log, settings, lambda word: another([word]), find, again)


@contextmanager
def _again(
    words: Sequence[str],
    options: dict[str, Any],
    mapping: str | None,
    settings: SiteSettings,
    reward_range: tuple[float, float] | None,
    upto: Position | None = None,
) -> Iterator[LoggedData]:
    with _opened(words, options, mapping, settings, reward_range, upto) as opened:
        yield opened.data


def _limit(log: LoggedData, reward_range: tuple[float, float] | None) -> None:
    if reward_range is not None:
        log.reward_range = reward_range


def _check_range(reward_range: tuple[float, float] | None) -> None:
    if reward_range is None:
        return
    low, high = reward_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidInput(
            f"the reward range {low:g} to {high:g} is none",
            field="reward_range",
            hint="give the least and the largest reward that there can be: --reward-range 0 1",
        )


def _snapshot(store: SiteStore, name: str) -> Snapshot:
    data = store.snapshot(name)
    if data is None:
        raise NotFound(
            f"site {store.site!r} has no snapshot {name[:100]!r}",
            hint="the store keeps the last few hundred; a file with one may be named instead",
        )
    return load_snapshot(data, name=name)
