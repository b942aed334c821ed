"""Targets by name: from what a user writes to a policy.

Deterministic and cheap: the same words in the same context make the same policy in any process, and
no log is read yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bandit_service.errors import InvalidInput, SnapshotError
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.fixed import Fixed
from bandit_service.evaluation.targets.frequencies import Frequencies
from bandit_service.evaluation.targets.function import OfFunction, load_function
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.evaluation.targets.logged import Logged, Uniform
from bandit_service.evaluation.targets.snapshot import OfSnapshot
from bandit_service.evaluation.targets.table import Table, read_table
from bandit_service.policy.settings import SiteSettings, read_settings
from bandit_service.policy.snapshot import Snapshot, load_snapshot

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uniform": "every variant alike",
        "logged": "what was running when the log was made",
        "fixed:VARIANT": "always one variant, as an arm (h0@1) or in all its versions (h0)",
        "frequencies:LOG": "as often as another log showed each",
        "table:FILE": "the probabilities in a CSV or JSON file",
        "snapshot:NAME": "a snapshot of the store, or in a file; with ,learned: without holdout",
        "policy:FILE.toml": "a policy of these settings that learns from the log as it goes",
        "blind:FILE.toml": "the same, but not told persona and traits",
        "python:MODULE:FUNCTION": "a Python function of a decision and its candidates",
    }
)
"""What can be written, with its meaning."""
_LEARNED: Final = ",learned"


def make_target(words: str, context: TargetContext) -> Target:
    """The policy that ``words`` name; one of KINDS.

    Raises:
        InvalidInput: if they name none, or a file that cannot be read.
        SettingsError: if a file of settings has an unknown setting or a wrong value.
        BanditError: if there is no such snapshot, or it cannot be loaded.
    """
    kind, colon, rest = words.partition(":")
    make = _MAKERS.get((kind, bool(colon)))
    if make is None or (colon and not rest):
        known = "\n".join(f"  {name}: {meaning}" for name, meaning in KINDS.items())
        raise InvalidInput(f"{words[:200]!r} is not a policy", hint=f"a policy is one of\n{known}")
    return make(words, rest, context)


def _logged(words: str, _: str, __: TargetContext) -> Target:
    return Logged(words)


def _uniform(words: str, _: str, __: TargetContext) -> Target:
    return Uniform(words)


def _fixed(words: str, variant: str, _: TargetContext) -> Target:
    return Fixed(words, variant)


def _frequencies(words: str, log: str, context: TargetContext) -> Target:
    return Frequencies(words, log, context.open_log)


def _table(words: str, path: str, _: TargetContext) -> Target:
    return Table(words, read_table(Path(path)))


def _snapshot(words: str, rest: str, context: TargetContext) -> Target:
    name = rest.removesuffix(_LEARNED)
    return OfSnapshot(words, _found(name, context), holdout=name == rest)


def _policy(words: str, path: str, context: TargetContext) -> Target:
    return Learning(words, _settings(path), evaluated=context.settings)


def _blind(words: str, path: str, context: TargetContext) -> Target:
    return Learning(words, _settings(path), evaluated=context.settings, blind=True)


def _function(words: str, rest: str, context: TargetContext) -> Target:
    return OfFunction(words, load_function(rest, context.python_path))


def _found(name: str, context: TargetContext) -> Snapshot:
    """A file by that path before a snapshot by that name."""
    path = Path(name)
    if not _is_file(path):
        return context.snapshot(name)
    try:
        return load_snapshot(_bytes(path))
    except SnapshotError as exc:
        raise SnapshotError(
            f"{path}: {exc.message}", hint=exc.hint or "give a file that holds a snapshot"
        ) from exc


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _settings(path: str) -> SiteSettings:
    return read_settings(_bytes(Path(path)), name=path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as exc:  # the latter: a name that no file can have
        why = exc.strerror if isinstance(exc, OSError) else None
        raise InvalidInput(
            f"{str(path)[:200]} cannot be read: {why or exc}", hint="give the path of a file"
        ) from exc


_Maker = Callable[[str, str, TargetContext], Target]
_MAKERS: Final[Mapping[tuple[str, bool], _Maker]] = {
    ("uniform", False): _uniform,
    ("logged", False): _logged,
    ("fixed", True): _fixed,
    ("frequencies", True): _frequencies,
    ("table", True): _table,
    ("snapshot", True): _snapshot,
    ("policy", True): _policy,
    ("blind", True): _blind,
    ("python", True): _function,
}
"""By kind, and whether something follows a colon."""
