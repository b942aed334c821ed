"""What a table of worlds says of each: its name, its form on the command line, how it is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from bandit_service.errors import InvalidInput
from simulations.bandits.base import World


class Setup(NamedTuple):
    """What worlds are made with, besides their parameters."""

    seed: int
    quick: bool = False
    """Whether to be small: a few thousand impressions rather than millions."""
    upworthy: Path | None = None
    """A file of headline tests; None: wherever ``worlds.archive`` finds one."""


class Entry(NamedTuple):
    """A world, or a family of them."""

    form: str
    """As the command line writes it, such as ``personas:S[:H]``."""
    words: str
    """What it is, in one sentence."""
    make: Callable[[str, Sequence[str], Setup], World]
    """From the whole name, its parameters (what stands between colons) and the setup; raises
    InvalidInput for parameters that cannot be used."""
    archive: bool = False
    """Whether it is made of the headline tests, which are no part of this project."""


def none_of(name: str, parameters: Sequence[str], form: str) -> None:
    """Raise InvalidInput if there is any parameter left that the world does not know."""
    if parameters:
        raise InvalidInput(
            f"{parameters[0]!r} means nothing in the world {name!r}",
            field="worlds",
            hint=f"write it as {form}",
        )


def one_of(
    name: str, parameters: Sequence[str], known: Collection[str], *, lacking: str, form: str
) -> str:
    """The one parameter of a world, which is one of those that are known.

    Raises:
        InvalidInput: if it is not there or not known, which ``lacking`` says; or if there are more.
    """
    if not parameters or parameters[0] not in known:
        raise InvalidInput(f"{name!r} {lacking}", field="worlds", hint=f"write it as {form}")
    none_of(name, parameters[1:], form)
    return parameters[0]


def whole(name: str, text: str, *, least: int, most: int) -> int:
    """A parameter that is a whole number.

    Raises:
        InvalidInput: if it is not, or is out of range.
    """
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise InvalidInput(
            f"{text!r} in {name!r} is not a number from {least:,} to {most:,}",
            field="worlds",
            hint="see --list for how worlds are written",
        )
    return int(text)
