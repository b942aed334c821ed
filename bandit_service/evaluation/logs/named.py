"""A log by the words that name it: nothing for the live site, a data set, or paths.

    (nothing)              the site, archive and stream
    obd:random/men         the Open Bandit Dataset, campaign `men` under the policy `random`
    FOLDER                 an archive, its `log` folder or one site of it; else the files in it
    FILE …                 files of one kind, parts of one log

What a file is, its contents say, not its name: our Parquet or JSON Lines, decision-service JSON, or
a table (Parquet or CSV), which needs a mapping of its columns. Any may be compressed by gzip.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, cast

import msgspec

from bandit_service.archive.history import History
from bandit_service.datasets import Behaviour, Campaign, obd_file
from bandit_service.errors import InvalidInput, LogError
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.logs.dsjson import DsjsonLog
from bandit_service.evaluation.logs.files import PARQUET, compressed, lines_of, magic
from bandit_service.evaluation.logs.mapping import DistributionMapping, LogMapping, find_mapping
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import (
    ArchiveSource,
    LinesSource,
    LiveSource,
    SegmentsSource,
)
from bandit_service.events.entries import Position
from bandit_service.policy.settings import SiteSettings

Kind = Literal["export", "jsonl", "dsjson", "parquet", "csv"]

_WORDS: Final[dict[Kind, str]] = {
    "export": "Parquet of this program",
    "jsonl": "JSON Lines of this program",
    "dsjson": "decision-service JSON",
    "parquet": "a Parquet table",
    "csv": "a CSV table",
}
_OBD: Final = re.compile(r"obd:(random|bts)/(all|men|women)")
_SUFFIXES: Final = (".parquet", ".csv", ".jsonl", ".json", ".dsjson")
"""Of the files that are looked for in a folder, before ``.gz``."""


def open_log(
    words: Sequence[str],
    *,
    settings: SiteSettings,
    config_path: Path,
    history: History | None = None,
    upto: Position | None = None,
    mapping: str | None = None,
    site: str | None = None,
    cache_dir: Path | None = None,
) -> LoggedData:
    """Open a log.

    Args:
        words: See the module's docstring.
        settings: What events are worth, for logs of our own.
        config_path: The configuration folder, with the mappings in ``logs/``.
        history: The live site, where there is one.
        upto: Where the log of a live site is to end; None for its present end.
        mapping: Name or path of a mapping, for tables.
        site: Which site of an archive; may be left out where it has one.
        cache_dir: Where the data set is; None for the user's cache folder.

    Raises:
        InvalidInput: if the words or the mapping do not go together.
        SettingsError: if the mapping is wrong.
        LogError: if a file is missing, damaged or not recognised.
        DatasetError: if the data set was not fetched.
    """
    name = " ".join(words)
    if any(word.startswith("obd:") for word in words):
        return _obd(words, config_path, mapping, cache_dir)
    if not words:
        return _live(history, settings, mapping, upto)
    paths = [_existing(word) for word in words]
    archive = next((found for path in paths if (found := _archive(path)) is not None), None)
    if archive is not None:
        _refuse_mapping(mapping, f"{archive} is an archive")
        if len(paths) > 1:
            raise InvalidInput(f"{archive} is an archive", hint="an archive is read by itself")
        return SiteLog(ArchiveSource(archive, _site(archive, paths[0], site), name), settings)
    mapped = None if mapping is None else find_mapping(mapping, config_path)
    return _files(_expanded(paths, mapped), settings, mapped, name, config_path)


def _live(
    history: History | None, settings: SiteSettings, mapping: str | None, upto: Position | None
) -> LoggedData:
    if history is None:
        raise InvalidInput("no log was named", hint="name a file, a folder or obd:random/men")
    _refuse_mapping(mapping, "the log of a site")
    return SiteLog(LiveSource(history, f"site {history.site}", upto), settings)


def _obd(
    words: Sequence[str], config_path: Path, mapping: str | None, cache_dir: Path | None
) -> LoggedData:
    from bandit_service.evaluation.logs.foreign import TableLog  # noqa: PLC0415 - loads pyarrow

    named = _OBD.fullmatch(words[0])
    if named is None or len(words) > 1:
        raise InvalidInput(
            f"there is no log {' '.join(words)[:200]!r}",
            hint="write obd:POLICY/CAMPAIGN: random or bts, and all, men or women",
        )
    behaviour, campaign = cast(Behaviour, named[1]), cast(Campaign, named[2])
    found = find_mapping(mapping or "obd", config_path)
    if behaviour == "random":  # the policy was uniform, so all is known of it
        found = msgspec.structs.replace(found, distribution=DistributionMapping(uniform=True))
    return TableLog([obd_file(campaign, behaviour, cache_dir)], found, name=words[0])


def _files(
    paths: Sequence[Path],
    settings: SiteSettings,
    mapping: LogMapping | None,
    name: str,
    config_path: Path,
) -> LoggedData:
    kinds = {path: kind_of(path) for path in paths}
    kind, first = kinds[paths[0]], paths[0]
    other = next((path for path in paths if kinds[path] != kind), None)
    if other is not None:
        raise InvalidInput(
            f"{first} is {_WORDS[kind]}, and {other} is {_WORDS[kinds[other]]}",
            hint="the parts of one log are all of one kind",
        )
    if kind in ("csv", "parquet"):
        from bandit_service.evaluation.logs.foreign import TableLog  # noqa: PLC0415 - as above

        return TableLog(paths, _needed(mapping, first, kind, config_path), name=name)
    if mapping is not None:
        _refuse_mapping("given", f"{first} is {_WORDS[kind]}")
    if kind == "dsjson":
        return DsjsonLog(paths, name=name)
    source = SegmentsSource(paths, name) if kind == "export" else LinesSource(paths, name)
    return SiteLog(source, settings)


def kind_of(path: Path) -> Kind:
    """What a file holds.

    Raises:
        LogError: if it cannot be read, or is none of what can be.
    """
    start = magic(path)
    if start.startswith(PARQUET):
        if compressed(path):
            raise LogError(
                f"{path} is Parquet that gzip compressed",
                hint="decompress it: Parquet is compressed in itself",
            )
        from bandit_service.evaluation.logs.tables import is_export  # noqa: PLC0415 - as above

        return "export" if is_export(path) else "parquet"
    if b"\x00" in start:
        raise LogError(
            f"{path} is neither Parquet nor text",
            hint="a log is Parquet, or CSV, JSON Lines or decision-service JSON in UTF-8",
        )
    return _json_kind(path) if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv"


def _json_kind(path: Path) -> Kind:
    line = next(iter(lines_of(path)))
    try:
        keys = set(msgspec.json.decode(line.data, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise LogError(
            f"{path}:{line.number} begins as JSON and is none: {exc}",
            hint="was it cut short? JSON has one record a line here",
        ) from exc
    if {"position", "entry"} <= keys:
        return "jsonl"
    if "c" in keys:
        return "dsjson"
    raise LogError(
        f"{path} has JSON of another kind, with {', '.join(sorted(keys)[:8]) or 'no fields'}",
        hint="for data of your own, make it CSV or Parquet and give a --mapping",
    )


def _needed(mapping: LogMapping | None, path: Path, kind: Kind, config_path: Path) -> LogMapping:
    if mapping is None:
        raise InvalidInput(
            f"{path} is {_WORDS[kind]}: say what its columns mean",
            field="mapping",
            hint=f"add --mapping NAME; {config_path / 'logs' / 'example.toml'} shows how",
        )
    return mapping


def _refuse_mapping(mapping: str | None, what: str) -> None:
    if mapping is not None:
        raise InvalidInput(
            f"{what}, which needs no mapping", field="mapping", hint="leave --mapping out"
        )


def _existing(word: str) -> Path:
    path = Path(word).expanduser()
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no path can have
        there = False
    if not there:
        raise LogError(
            f"{word[:200]!r} is not there",
            hint="name a file, a folder, or obd:random/men; nothing at all is the live site",
        )
    return path


def _archive(path: Path) -> Path | None:
    """The folder of the archive that a path is in or is."""
    if (path / "archive.json").is_file() or any((path / "log").glob("site=*")):
        return path
    if path.name.startswith("site="):
        return path.resolve().parent.parent
    return path.resolve().parent if path.is_dir() and any(path.glob("site=*")) else None


def _site(archive: Path, path: Path, site: str | None) -> str:
    if path.name.startswith("site="):
        return path.name.removeprefix("site=")
    sites = sorted(p.name.removeprefix("site=") for p in archive.glob("log/site=*"))
    if site in sites:
        return str(site)
    if len(sites) == 1 and site is None:
        return sites[0]
    if not sites:
        raise LogError(
            f"the archive {archive} has no site in it",
            hint="name another, or archive something first: bandit-service archive --once",
        )
    raise InvalidInput(
        f"{archive} has the sites {', '.join(sites)}",
        field="site",
        hint="say which with --site",
    )


def _expanded(paths: Sequence[Path], mapping: LogMapping | None) -> list[Path]:
    """The files, those in folders included; the table of items is no part of the log."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files = inside if not path.is_dir() else [file for file in inside if _is_part(file)]
        if mapping is not None and mapping.candidates.file is not None and path.is_dir():
            files = [file for file in files if file.name != Path(mapping.candidates.file).name]
        if not files:
            raise LogError(f"{path} has no logs in it", hint=f"looked for {', '.join(_SUFFIXES)}")
        found += files
    return found


def _is_part(path: Path) -> bool:
    hidden = path.name.startswith((".", "_"))
    return not hidden and path.is_file() and path.name.removesuffix(".gz").endswith(_SUFFIXES)
