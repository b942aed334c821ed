"""What to try: settings to compare, from a list of files or from a grid of values.

A grid is a file that says what to vary, and how, around a base:

    base = "site.toml"                  # relative to this file; left out: the settings in force
    [vary]
    "policy.gamma" = [10.0, 40.0]
    "policy.cross" = [["persona"], ["persona", "situation"]]

Every combination is a point. The base is always a point too, the first: a policy is worth adopting
only if it beats what is there. A grid with a mistake is refused as a whole, since all of its points
share it; of a list of files one may be wrong, and costs only itself.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bandit_service.errors import BanditError, InvalidInput, SettingsError
from bandit_service.evaluation.targets.replay import blind_settings
from bandit_service.policy.exploration import idle_of
from bandit_service.policy.settings import (
    PolicySettings,
    SiteSettings,
    check_settings,
    read_settings,
)

MOST_POINTS: Final = 64
"""Points at most. Each costs a reading of the log; and the more are compared, the luckier the best
of them was."""
BASE: Final = "base"
"""The name of the base where no point has its settings."""


class Point(NamedTuple):
    """Settings to try."""

    name: str
    settings: SiteSettings
    blind: bool = False
    """Whether the policy is not told persona and traits."""

    @property
    def twin(self) -> Point:
        """The same, not told who visits."""
        return Point(f"{self.name} blind", self.settings, blind=True)

    @property
    def does(self) -> tuple[str, bool]:
        """What it does, equal exactly for points that do the same."""
        settings = blind_settings(self.settings) if self.blind else self.settings
        return _working(settings).id, self.blind


class Unreadable(NamedTuple):
    """A file that holds no settings."""

    name: str
    why: str


class Plan(NamedTuple):
    """What is to be compared."""

    points: list[Point]
    """The base first; no two do the same."""
    unreadable: list[Unreadable]


class _Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    vary: dict[str, Any]
    base: str | None = None


def plan_of_files(paths: Sequence[Path], present: SiteSettings, *, blind: bool = False) -> Plan:
    """The settings in some files, against those in force.

    Raises:
        InvalidInput: if there are none, too many, a file twice, or none can be read.
    """
    if not paths:
        raise InvalidInput("there is nothing to try", hint="name files of settings, or a grid")
    names = [str(path) for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{twice} is named twice", hint="name each file once")
    points: list[Point] = []
    unreadable: list[Unreadable] = []
    for path in paths:
        try:
            points.append(Point(str(path), _settings(path)))
        except BanditError as exc:
            unreadable.append(Unreadable(str(path), _sentence(exc)))
    if not points:
        raise InvalidInput(unreadable[0].why, hint="none of the files holds settings")
    return Plan(_planned(points, present, blind=blind, where="these files make"), unreadable)


def plan_of_grid(path: Path, present: SiteSettings, *, blind: bool = False) -> Plan:
    """The points of a grid.

    Raises:
        InvalidInput: if the file cannot be read, or makes too many points.
        SettingsError: if it is no grid, varies what is no setting, or gives one no value, the same
            value twice or a wrong one; names the file and the setting.
    """
    grid = _grid(path)
    base = present if grid.base is None else _settings(path.parent / grid.base)
    tree = msgspec.to_builtins(base)
    for key, values in grid.vary.items():
        _check_axis(path, tree, key, values)
    count = math.prod(len(values) for values in grid.vary.values())
    _check_count(count, f"{path} makes")
    points = [_point(path, tree, chosen) for chosen in _combinations(grid.vary)]
    for key in grid.vary:
        _check_part(path, key, points)
    return Plan(_planned(points, base, blind=blind, where=f"{path} makes"), [])


def _planned(
    points: Sequence[Point], base: SiteSettings, *, blind: bool, where: str
) -> list[Point]:
    """The base first, then the others, then the twins; of those that do the same, the first."""
    does = Point(BASE, base).does
    same = [point for point in points if point.does == does]
    first = same[0] if same else Point(BASE, base)
    ordered = [first, *points]
    found: dict[tuple[str, bool], Point] = {}
    for point in (*ordered, *(point.twin for point in ordered if blind)):
        found.setdefault(point.does, point)
    _check_count(len(found), where)
    return [*found.values()]


def _grid(path: Path) -> _Grid:
    try:
        grid = msgspec.convert(tomllib.loads(_text(path)), _Grid)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # TOML's are ValueErrors
        raise SettingsError(
            f"{path}: {exc}",
            hint='a grid has a table [vary] of lists, such as "policy.gamma" = [10.0, 40.0]',
        ) from exc
    if not grid.vary:
        raise SettingsError(
            f"{path}: [vary] is empty", hint='name a setting, such as "policy.gamma" = [10.0, 40.0]'
        )
    return grid


def _check_axis(path: Path, tree: Mapping[str, Any], key: str, values: object) -> None:
    if not isinstance(values, list):
        raise SettingsError(
            f"{path}: {key} has no list of values",
            field=key,
            hint='write the whole name in quotes, and a list: "policy.gamma" = [10.0, 40.0]',
        )
    if not values:
        raise SettingsError(
            f"{path}: {key} has no values", field=key, hint="list a value, or leave the line out"
        )
    found = [_point(path, tree, {key: value}).settings.id for value in values]
    for index, one in enumerate(found):
        if one in found[:index]:
            raise SettingsError(
                f"{path}: {key} has the value {_shown(values[index])} twice",
                field=key,
                hint="list each value once",
            )


def _check_part(path: Path, key: str, points: Sequence[Point]) -> None:
    """Refuse to vary what plays no part under any of the explorations that are tried."""
    policies = [point.settings.policy for point in points]
    if all(key.removeprefix("policy.") in idle_of(policy) for policy in policies):
        explorations = " and ".join(sorted({policy.exploration for policy in policies}))
        raise SettingsError(
            f"{path}: {key} makes no difference to exploration by {explorations}",
            field=key,
            hint="leave it out, or set policy.exploration in the base",
        )


def _working(settings: SiteSettings) -> SiteSettings:
    """The settings with what plays no part as it is by default."""
    plain = PolicySettings()
    idle = {name: getattr(plain, name) for name in idle_of(settings.policy)}
    policy = msgspec.structs.replace(settings.policy, **idle)
    return SiteSettings(rewards=settings.rewards, policy=policy)


def _point(path: Path, tree: Mapping[str, Any], chosen: Mapping[str, Any]) -> Point:
    known = {key: key.removeprefix("policy.") for key in chosen}  # most are of the policy
    name = " ".join(f"{known[key]}={_shown(value)}" for key, value in chosen.items())
    try:
        changed = msgspec.to_builtins(tree)  # a copy, all the way down
        for key, value in chosen.items():
            _put(changed, key, value)
        return Point(name, check_settings(msgspec.convert(changed, SiteSettings)))
    except msgspec.ValidationError as exc:
        raise SettingsError(
            f"{path}: {name}: {exc}", hint="config/site.toml names every setting"
        ) from exc
    except SettingsError as exc:
        raise SettingsError(f"{path}: {exc.message}", field=exc.field, hint=exc.hint) from exc


def _put(tree: dict[str, Any], key: str, value: object) -> None:
    """Set what a dotted key names; msgspec refuses a key that names nothing."""
    *above, last = key.split(".")
    inside: Any = tree
    for name in above:
        inside = inside.setdefault(name, {})
        if not isinstance(inside, dict):
            raise SettingsError(
                f"{key} is no setting", field=key, hint="config/site.toml names every setting"
            )
    inside[last] = value


def _combinations(vary: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in product(*vary.values()):
        yield dict(zip(vary, values, strict=True))


def _check_count(count: int, where: str) -> None:
    if count > MOST_POINTS:
        raise InvalidInput(
            f"{where} {count} policies, and {MOST_POINTS} are the most",
            hint="try fewer values at once: the more are compared, the less the best one means",
        )


def _shown(value: object) -> str:
    """A value as it stands in a name: short, without spaces."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, list):
        return "+".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        return ",".join(f"{key}:{_shown(part)}" for key, part in value.items()) or "none"
    return str(value)


def _settings(path: Path) -> SiteSettings:
    return read_settings(_text(path).encode(), name=str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise InvalidInput(
            f"{path} cannot be read: {exc.strerror or exc}", hint="is the path right?"
        ) from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{path}: {exc}", hint="is it TOML, in UTF-8?") from exc


def _sentence(exc: BanditError) -> str:
    return f"{exc.message} ({exc.hint})" if exc.hint else exc.message
