"""A policy written down: the probability of each arm, by placement and, if wanted, by persona."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.targets.base import MAX_KEPT, MAX_KEPT_BYTES, Still
from bandit_service.kept import Kept

MAX_BYTES: Final = 64 * 1_048_576
"""Largest file of a table."""
TOLERANCE: Final = 1e-9
"""How far from 1 probabilities may sum."""
_HINT: Final = "columns are placement, persona (may be left out or empty), arm and probability"

Entries = Mapping[str, float]
"""Probability by arm, or by id of a variant in all its versions."""


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a table."""

    placement: str
    arm: str
    probability: float
    persona: str | None = None
    """None, or empty: every persona that the placement says nothing else of."""


class Table(Still):
    """The probabilities of a file.

    An entry names an arm (``h0@1``), or a variant in all its versions (``h0``), which share it.
    Candidates without an entry get 0. Where a row does not offer all that the table has, the rest
    is in proportion.
    """

    def __init__(self, name: str, entries: Mapping[tuple[str, str], Entries]) -> None:
        """``entries`` by placement and persona, the persona being empty for all others."""
        super().__init__(name, "The shares of a table, among the variants that could be shown.")
        self._entries = entries
        self._kept: Kept[tuple[int, int, bytes], Floats] = Kept(
            entries=MAX_KEPT, room=MAX_KEPT_BYTES
        )

    def probabilities(self, batch: Batch) -> Floats:
        """The entries of each row's candidates.

        Raises:
            EvaluationError: if the table does not know a row's placement and persona, or none of
                its candidates.
        """
        if not len(batch):
            return np.zeros(0)
        return np.concatenate([self._row(batch, row) for row in range(len(batch))])

    def _row(self, batch: Batch, row: int) -> Floats:
        codes = batch.arms[batch.offsets[row] : batch.offsets[row + 1]]
        key = (int(batch.placement[row]), int(batch.persona[row]), codes.tobytes())
        kept = self._kept.get(key)
        if kept is None:
            arms = [batch.names.arms[int(code)] for code in codes]
            placement, persona = batch.names.placements[key[0]], batch.names.personas[key[1]]
            kept = self._of(placement, persona, arms, batch.places[row])
            self._kept.keep(key, kept, kept.nbytes + len(key[-1]))
        return kept

    def _of(self, placement: str, persona: str, arms: Sequence[str], place: str) -> Floats:
        entries = self._entries.get((placement, persona)) or self._entries.get((placement, ""))
        if entries is None:
            raise EvaluationError(
                f"row {place}: the table has no placement {placement!r} for persona {persona!r}",
                hint="add it to the table; a line without a persona speaks for all others",
            )
        named = [arm if arm in entries else arm.rpartition("@")[0] for arm in arms]
        shares: Floats = np.array([entries.get(name, 0.0) / named.count(name) for name in named])
        if not shares.sum() > 0:
            raise EvaluationError(
                f"row {place}: the table gives nothing to any candidate of placement "
                f"{placement!r}: {', '.join(arms[:5])}{' …' if len(arms) > 5 else ''}",
                hint="an arm is named as in the log, variant@version, or by its variant alone",
            )
        shares /= shares.sum()
        return shares


def read_table(path: Path) -> dict[tuple[str, str], dict[str, float]]:
    """The table of a CSV file, or of a JSON file with a list of objects.

    Raises:
        InvalidInput: naming the file, and the line or placement that is wrong.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as exc:  # the latter: no UTF-8, or a name that no file can have
        why = exc.strerror if isinstance(exc, OSError) else None
        raise InvalidInput(f"{str(path)[:200]} cannot be read: {why or exc}", hint=_HINT) from exc
    lines = _json(path, text) if path.suffix.lower() == ".json" else _csv(path, text)
    return _checked(path, lines)


def _json(path: Path, text: str) -> Iterable[tuple[str, Entry]]:
    try:
        entries = msgspec.json.decode(text, type=list[Entry])
    except msgspec.MsgspecError as exc:
        raise InvalidInput(f"{path}: {exc}", hint=f"a list of objects: {_HINT}") from exc
    return [(f"{path}, entry {number}", entry) for number, entry in enumerate(entries, 1)]


def _csv(path: Path, text: str) -> Iterable[tuple[str, Entry]]:
    entries = []
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            place = f"{path}:{rows.line_num}"
            entries.append((place, _entry(place, row)))
    except csv.Error as exc:
        raise InvalidInput(f"{path}, after line {rows.line_num}: {exc}", hint=_HINT) from exc
    return entries


def _entry(place: str, row: Mapping[Any, Any]) -> Entry:
    if None in row or None in row.values():
        raise InvalidInput(f"{place}: another number of columns than the first line", hint=_HINT)
    try:
        return msgspec.convert(row, Entry, strict=False)
    except msgspec.MsgspecError as exc:
        raise InvalidInput(f"{place}: {exc}", hint=_HINT) from exc


def _checked(
    path: Path, lines: Iterable[tuple[str, Entry]]
) -> dict[tuple[str, str], dict[str, float]]:
    table: dict[tuple[str, str], dict[str, float]] = {}
    for place, entry in lines:
        if not 0.0 <= entry.probability <= 1.0:
            raise InvalidInput(f"{place}: the probability is {entry.probability:g}", hint=_HINT)
        arms = table.setdefault((entry.placement, entry.persona or ""), {})
        if entry.arm in arms:
            raise InvalidInput(f"{place}: {entry.arm!r} was there before", hint="keep one of them")
        arms[entry.arm] = entry.probability
    if not table:
        raise InvalidInput(f"{path} has no entries", hint=_HINT)
    for (placement, persona), arms in table.items():
        total = math.fsum(arms.values())
        if abs(total - 1.0) > TOLERANCE:
            whose = f"placement {placement!r}" + (f", persona {persona!r}" if persona else "")
            raise InvalidInput(
                f"{path}: the probabilities of {whose} sum to {total!r}",
                hint="those of a placement, and of each persona that it names, must sum to 1",
            )
    return table
