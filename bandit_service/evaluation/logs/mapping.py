"""Which column of a table means what: ``config/logs/*.toml``, one file for a kind of log.

``config/logs/example.toml`` shows every key. Keys that are not known are refused by name, and so is
a mapping that leaves out what an estimate needs: what was shown, what it earned, what else could
have been shown, and how likely what was shown was.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Literal

import msgspec

from bandit_service.errors import SettingsError

TimeFormat = Literal["iso", "s", "ms", "us", "ns"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class TimeMapping(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a row was decided."""

    column: str
    format: TimeFormat = "iso"
    """ISO 8601, UTC where it names no offset, or the unit of a number since the Unix epoch."""


class RewardMapping(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a row earned: a number, or an event that is worth one."""

    column: str | None = None
    event: str | None = None
    """Column with the name of an event; empty where there was none."""
    worth: dict[str, float] = {}
    """What each event is worth; any other is worth 0."""
    range: tuple[float, float] | None = None
    """Least and largest reward that there can be."""

    def __post_init__(self) -> None:
        """Refuse what says nothing, or two things."""
        if (self.column is None) == (self.event is None):
            raise ValueError("reward needs either `column` or `event`")
        if (self.event is None) != (not self.worth):
            raise ValueError("reward.event and reward.worth go together")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("reward.range needs the smaller number first")

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What a reward can be, if the mapping says."""
        if self.range is not None or self.event is None:
            return self.range
        return min(0.0, *self.worth.values()), max(0.0, *self.worth.values())


class PropensityMapping(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How likely what was shown was."""

    source: Literal["column", "uniform", "estimated"] = msgspec.field(name="from")
    column: str | None = None

    def __post_init__(self) -> None:
        """Refuse a column that is not used, or is not named."""
        if (self.source == "column") != (self.column is not None):
            raise ValueError('propensity.column goes with propensity.from = "column"')


class DistributionMapping(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How likely every candidate was, where the log says that."""

    list: str | None = None
    """Column with as many numbers as there are candidates, in their order."""
    columns: dict[str, str] = {}
    """The column of each candidate."""
    uniform: bool = False
    """Every candidate was as likely as any other."""

    def __post_init__(self) -> None:
        """Refuse none, or several."""
        if (self.list is not None) + bool(self.columns) + self.uniform != 1:
            raise ValueError("distribution needs one of `list`, `columns` and `uniform`")


class CandidatesMapping(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What could have been shown."""

    source: Literal["column", "fixed", "observed", "items"] = msgspec.field(name="from")
    column: str | None = None
    """With ``column``: a column of lists, or of texts that ``separator`` divides."""
    separator: str = " "
    arms: list[str] = []
    """With ``fixed``."""
    file: str | None = None
    """With ``items``: a table beside the log with a row for each arm."""
    id: str | None = None
    """Column of ``file`` that names the arm."""
    tags: list[str] = []
    """Columns of ``file`` that become tags of the variant, ``name-value``."""
    attributes: list[str] = []
    """Columns of ``file`` that become attributes of the variant, numbers where they are numbers."""

    def __post_init__(self) -> None:
        """Refuse what is missing, and what belongs to another kind."""
        given = {
            "column": self.column is not None,
            "fixed": bool(self.arms),
            "items": self.file is not None or self.id is not None,
        }
        wrong = sorted(kind for kind, there in given.items() if there and kind != self.source)
        if wrong:
            raise ValueError(
                f'candidates.from is "{self.source}", and yet keys of "{wrong[0]}" are set'
            )
        if not given.get(self.source, True) or (self.file is None) != (self.id is None):
            needs = {"column": "column", "fixed": "arms", "items": "file and id"}[self.source]
            raise ValueError(f'candidates.from = "{self.source}" needs candidates.{needs}')
        if (self.tags or self.attributes) and self.source != "items":
            raise ValueError('candidates.tags and .attributes go with from = "items"')
        if len(set(self.arms)) < len(self.arms) or "" in self.arms:
            raise ValueError("candidates.arms has an arm twice, or one without a name")
        if not self.separator:
            raise ValueError("candidates.separator is empty")


class LogMapping(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the columns of a table mean."""

    arm: str
    """Column that names what was shown."""
    reward: RewardMapping
    candidates: CandidatesMapping
    propensity: PropensityMapping | None = None
    """May be left out where ``distribution`` says it."""
    distribution: DistributionMapping | None = None
    time: TimeMapping | None = None
    id: str | None = None
    """Column that names the row; else its file and number do."""
    placement: str = "log"
    """A text in which ``{column}`` stands for the value there."""
    persona: str = "unknown"
    """As ``placement``."""
    visitor: str | None = None
    """Column that tells visitors apart."""
    traits: list[str] | dict[str, str] = []
    """Columns with what was known of the visitor; as a table, the trait's name to the column."""
    context: list[str] | dict[str, str] = []
    """Columns with the situation; as ``traits``."""
    delimiter: str = ","
    """What divides the columns of CSV."""

    def __post_init__(self) -> None:
        """Refuse a mapping without propensities, or with a text that cannot be filled in."""
        if self.propensity is None and self.distribution is None:
            raise ValueError("propensity is missing: how likely was what was shown?")
        estimated = self.propensity is not None and self.propensity.source == "estimated"
        if estimated and self.distribution is not None:
            raise ValueError("propensity is estimated, and yet a distribution is given")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ValueError("delimiter is one character, and none of CSV's own")
        for name in ("placement", "persona"):
            template_of(getattr(self, name), name)
        if self.distribution is not None and self.distribution.columns:
            if self.candidates.source not in ("fixed", "items"):
                raise ValueError(
                    'distribution.columns needs candidates that are "fixed" or "items"'
                )
            lacking = sorted(set(self.candidates.arms) - set(self.distribution.columns))
            if lacking:
                raise ValueError(f"distribution.columns has no column for {lacking[0]!r}")

    @property
    def columns(self) -> dict[str, str]:
        """Every column that is read, with the key that names it."""
        return {column: key for key, column in reversed(list(self._columns()))}

    def _columns(self) -> Iterator[tuple[str, str]]:
        single = {
            "arm": self.arm,
            "reward.column": self.reward.column,
            "reward.event": self.reward.event,
            "propensity.column": None if self.propensity is None else self.propensity.column,
            "distribution.list": None if self.distribution is None else self.distribution.list,
            "time.column": None if self.time is None else self.time.column,
            "candidates.column": self.candidates.column,
            "id": self.id,
            "visitor": self.visitor,
        }
        yield from ((key, column) for key, column in single.items() if column is not None)
        for name in ("placement", "persona"):
            yield from ((name, column) for column in template_of(getattr(self, name), name).columns)
        for name in ("traits", "context"):
            yield from ((name, column) for column in named(getattr(self, name)).values())
        if self.distribution is not None:
            columns = self.distribution.columns
            yield from (("distribution.columns", column) for column in columns.values())


class Template(msgspec.Struct, frozen=True):
    """A text with places for values of columns."""

    parts: list[tuple[str, str | None]]
    """A text and the column that follows it, if one does."""

    @property
    def columns(self) -> list[str]:
        """The columns in it, in order."""
        return [column for _, column in self.parts if column is not None]

    def filled(self, values: Mapping[str, str]) -> str:
        """The text, with values by column."""
        return "".join(text + (values[col] if col is not None else "") for text, col in self.parts)


def template_of(text: str, key: str) -> Template:
    """Read a template.

    Raises:
        ValueError: if it is none, naming ``key``.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as exc:
        raise ValueError(f"{key} {text!r}: {exc}") from exc
    if any(name == "" or spec or conversion for _, name, spec, conversion in parts):
        raise ValueError(f"{key} {text!r}: write {{column}} where its value belongs")
    return Template([(literal, name) for literal, name, _, _ in parts])


def named(columns: list[str] | dict[str, str]) -> dict[str, str]:
    """Columns by the name under which they are known."""
    return columns if isinstance(columns, dict) else {column: column for column in columns}


def read_mapping(data: bytes, *, name: str) -> LogMapping:
    """A mapping from TOML.

    Raises:
        SettingsError: if the text cannot be parsed, a key is unknown or missing, or its value is
            wrong.
    """
    try:
        return msgspec.convert(tomllib.loads(data.decode("utf-8")), LogMapping)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # TOML's are ValueErrors
        raise SettingsError(
            f"{name}: {exc}", hint="config/logs/example.toml shows every key"
        ) from exc


def find_mapping(words: str, config_path: Path) -> LogMapping:
    """The mapping of a name, ``logs/NAME.toml`` in the configuration folder, or of a path.

    Raises:
        SettingsError: if there is none, or it is wrong.
    """
    folder = config_path / "logs"
    path = Path(words) if words.endswith(".toml") else folder / f"{words}.toml"
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as exc:
        known = ", ".join(sorted(found.stem for found in folder.glob("*.toml"))) or "none"
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise SettingsError(
            f"the mapping {words[:200]!r} cannot be read: {why}",
            hint=f"name one of {folder} ({known}), or a file that ends in .toml",
        ) from exc
    return read_mapping(data, name=str(path))
