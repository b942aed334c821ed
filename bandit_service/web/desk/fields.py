"""What somebody typed into a form, and what is wrong with it.

A form that is refused is shown again with every field as it was typed and each problem beside the
field that it is about. So what was typed stays text until it is turned into the catalog's own
records, and the catalog's errors, which name fields, are laid beside the inputs by their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from bandit_service.catalog.model import Scalar
from bandit_service.errors import BanditError
from bandit_service.web.desk.writing import Writer

GENERAL: Final = "form"
"""Where a problem stands that is about no field of the form."""
_MAX_TYPED: Final = 200_000
"""Characters that are taken of one field: more than the catalog lets any hold, so what is cut here
is refused there."""
_JSON: Final = json.JSONDecoder()
_WHOLE: Final = re.compile(r"-?[0-9]{1,30}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


LABELS: Final = {
    "id": "the name",
    "name": "the name",
    "headline": "the headline",
    "image_url": "the address of the picture",
    "alt": "the text of the picture",
    "target_url": "the link",
    "tags": "the list of tags",
    "attributes": "the list of facts",
    "min_share": "the least share",
    "max_share": "the largest share",
    "live_from": "the time to show it from",
    "live_until": "the time to show it until",
    "at": "the date",
    "winner": "the winner",
}
"""What an error says in place of a field's own name, by the input's name."""


class Problem(NamedTuple):
    """What is wrong with a field, and the remedy."""

    words: str
    hint: str = ""


Problems = dict[str, Problem]
_NO_RANGE: Final = Problem(
    "This is no share from 0 to 100 %, or more than the largest share.",
    "To show a variant to nobody, pause it.",
)
"""Of both shares; the catalog speaks of parts of 1."""
_ADDED_UP: Final = "variants.min_share"
"""The field of an error about all variants' least shares together."""


class Wrong(Exception):
    """Raised when a field cannot be understood at all; ``field`` is the input's name."""

    def __init__(self, field: str, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.field = field
        self.problem = Problem(words, hint)


def typed(form: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The fields of a form as they were typed; one that is missing is empty."""
    return {name: form.get(name, "").replace("\r\n", "\n")[:_MAX_TYPED] for name in names}


def problem_of(error: BanditError, fields: Iterable[str]) -> tuple[str, Problem]:
    """Beside which of the inputs an error of the catalog belongs, and in which words."""
    known = {**{name: name for name in fields}, "placement": "id", "variant": "id"}
    named = [known[part] for part in (error.field or "").split(".") if part in known]
    if named and named[-1] == "min_share" and error.field != _ADDED_UP:
        return "min_share", _NO_RANGE
    said = error.message
    if error.field and named:
        said = said.replace(error.field, LABELS.get(named[-1], named[-1]))
    words = said[:1].upper() + said[1:]
    hint = error.hint or ""
    return (named[-1] if named else GENERAL), Problem(
        f"{words}.", hint[:1].upper() + hint[1:] + "." if hint else ""
    )


def text(value: str) -> str | None:
    """A text without blanks around it; None for an empty one."""
    return value.strip() or None


def tags(chosen: Iterable[str], more: str) -> list[str]:
    """Tags that were ticked and those that were typed with commas between, each once."""
    written = (tag.strip() for tag in more.split(","))
    return list(dict.fromkeys(tag for tag in (*chosen, *written) if tag))


def share(value: str, field: str, empty: float, write: Writer) -> float:
    """A percentage as a share in [0, 1].

    Raises:
        Wrong: if it is no number.
    """
    plain = value.strip().removesuffix("%").strip()
    if not plain:
        return empty
    number = write.parsed(plain)
    if number is None:
        raise Wrong(field, f"“{value.strip()[:40]}” is not a number.", "Give a percentage, as 12.5")
    return number / 100.0


def attributes(lines: str) -> dict[str, Scalar]:
    """Facts written as ``name = value``, one a line; in quotation marks, either is text as it is.

    Raises:
        Wrong: if a line has no name or no ``=``, or names what another one does.
    """
    found: dict[str, Scalar] = {}
    for number, line in enumerate(lines.split("\n"), 1):
        if not line.strip():
            continue
        fact = _fact(line)
        if fact is None:
            raise Wrong("attributes", f"Line {number} is not “name = value”.", "Such as: faces = 2")
        if fact[0] in found:
            words = f"Line {number} names “{fact[0][:40]}” again."
            raise Wrong("attributes", words, "Name each once.")
        found[fact[0]] = fact[1]
    return found


def written_attributes(values: Mapping[str, Scalar]) -> str:
    """The lines that ``attributes`` reads back as the same."""
    return "\n".join(_line(name, value) for name, value in values.items())


def _fact(line: str) -> tuple[str, Scalar] | None:
    quoted, rest = _unquoted(line.strip())
    if quoted is not None and rest.startswith("="):
        return quoted, _scalar(rest[1:].strip())
    name, sign, value = (part.strip() for part in line.partition("="))
    return (name, _scalar(value)) if sign and name else None


def _unquoted(text: str) -> tuple[str | None, str]:
    """The text in the quotation marks that ``text`` begins with, and the rest; None for none."""
    if text.startswith('"'):
        with suppress(ValueError):  # they do not end, or hold what JSON's do not
            quoted, end = _JSON.raw_decode(text)
            return quoted, text[end:].lstrip()
    return None, text


def _scalar(value: str) -> Scalar:
    if value in ("true", "false"):
        return value == "true"
    if _WHOLE.fullmatch(value):
        return int(value)
    if _NUMBER.fullmatch(value):
        return float(value)
    quoted, rest = _unquoted(value)
    return value if quoted is None or rest else quoted


def _line(name: str, value: Scalar) -> str:
    plain = f"{name} = {str(value).lower() if isinstance(value, bool) else value}"
    read = _fact(plain) if "\n" not in plain and "\r" not in plain else None
    if read == (name, value) and type(read[1]) is type(value):
        return plain
    shown = json.dumps(value, ensure_ascii=False)
    return f"{json.dumps(name, ensure_ascii=False)} = {shown}"
