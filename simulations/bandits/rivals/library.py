"""Other people's libraries, which the service does without.

They are imported when a player is made, so that studies run without them, and whoever asks for a
rival that needs one is told what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bandit_service.errors import InvalidInput


def imported(module: str, *, rival: str, package: str) -> Any:
    """A module of a library that may be absent.

    Raises:
        InvalidInput: if it cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as exc:
        raise InvalidInput(
            f"rival {rival} needs the package {package}", hint=f"pip install {package}"
        ) from exc
