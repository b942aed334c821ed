"""A table beside a log that describes its arms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from bandit_service.catalog.model import Scalar, Variant
from bandit_service.errors import LogError
from bandit_service.evaluation.logs.base import Violation
from bandit_service.evaluation.logs.mapping import CandidatesMapping
from bandit_service.evaluation.logs.tables import Chunk, chunks

MAX_ITEMS: Final = 100_000
"""Arms that a table may describe: each is a candidate of every row."""


def items_of(folder: Path, mapping: CandidatesMapping, *, delimiter: str) -> dict[str, Variant]:
    """The arms of ``mapping.file`` in ``folder``, in its order, as variants.

    Raises:
        LogError: if the file is not there, cannot be read, or has an arm twice or without a name.
    """
    path = folder / str(mapping.file)
    if not path.is_file():
        raise LogError(
            f"{path}, which describes the candidates, is not there",
            hint="put it beside the log, or set candidates.file to where it is",
        )
    columns = dict.fromkeys(mapping.attributes, "candidates.attributes")
    columns |= dict.fromkeys(mapping.tags, "candidates.tags")
    columns[str(mapping.id)] = "candidates.id"
    found: dict[str, Variant] = {}
    for chunk in chunks(path, columns, delimiter=delimiter, blame=_refuse):
        for place, variant in zip(chunk.places, _variants(chunk, mapping), strict=True):
            if variant.id in found or not variant.id or len(found) == MAX_ITEMS:
                _refuse(Violation("", place, _wrong_with(variant.id, len(found))))
            found[variant.id] = variant
    if not found:
        raise LogError(f"{path} describes no candidate", hint="it needs a row for each arm")
    return found


def _variants(chunk: Chunk, mapping: CandidatesMapping) -> list[Variant]:
    names = chunk.text(str(mapping.id))
    texts = {name: chunk.text(name) for name in (*mapping.tags, *mapping.attributes)}
    numbers = {name: chunk.number(name) for name in mapping.attributes}

    def attribute(name: str, row: int) -> Scalar:
        number = float(numbers[name][row])
        return number if math.isfinite(number) else texts[name].at(row)

    return [
        Variant(
            id=names.at(row),
            version=1,
            tags=tuple(
                f"{name}-{texts[name].at(row)}" for name in mapping.tags if texts[name].at(row)
            ),
            attributes={n: attribute(n, row) for n in mapping.attributes if texts[n].at(row)},
            status="live",
        )
        for row in range(len(chunk))
    ]


def _wrong_with(arm: str, count: int) -> str:
    if count == MAX_ITEMS:
        return f"it describes more than {MAX_ITEMS} arms"
    return f"it has the arm {arm!r} twice" if arm else "it has an arm without a name"


def _refuse(violation: Violation) -> None:
    raise LogError(
        f"{violation.place}: {violation.message}",
        hint="the table of candidates needs a row for each arm",
    )
