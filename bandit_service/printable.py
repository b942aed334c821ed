"""Text from outside as one line in which nothing acts on a terminal or page.

Control characters, lone surrogates and marks that turn the direction of writing become U+FFFD: none
of them can be seen, and a terminal or page would obey them.
"""

from __future__ import annotations

import re
from typing import Final

_BREAKS: Final = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_UNSEEN: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)


def printable(text: str) -> str:
    """The text, its breaks as spaces."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub(" ", text))
