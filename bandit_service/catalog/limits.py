r"""How much, how long and of which shape: every limit of the catalog, as a number and as a type.

``checks`` refuses what breaks a limit, with the field and the remedy in its words; the types here
carry the same limit into the API's description (``said``). They do not refuse by themselves: a
record that was stored under other limits must stay readable. Tests hold both together.

The patterns mean the same to Python, ECMAScript (which JSON Schema names) and Rust: they spell out
what a blank is, for on ``\s`` the three disagree.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

MAX_INLINE_ID: Final = 256
"""Longest id of a variant sent inline with a request, in characters."""
MAX_TAGS: Final = 32
MAX_TAG_LENGTH: Final = 64
MAX_ATTRIBUTES: Final = 32
MAX_TEXT: Final = 1_000
"""Longest headline, alternative text or attribute, in characters."""
MAX_URL: Final = 2_048
MAX_BITS: Final = 63
"""Largest whole number as an attribute or a trait, in bits: what every encoding can carry."""
MAX_NUMBER: Final = 2**MAX_BITS - 1
"""Largest number as an attribute or a trait, of either sign, whole or not."""
MAX_VARIANTS: Final = 500
"""Most variants, retired ones included, that one placement may hold."""
MAX_PERSONAS: Final = 100
MAX_RULES: Final = 200
"""Most rules of one persona."""
MAX_RULE_VALUES: Final = 1_000
"""Most values or tags that one rule asks for."""
MAX_WEIGHT: Final = 1e6
"""Largest weight of a persona's rule, and of the prior."""
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2999
"""Years that a schedule may name: what lies beyond is a slip of the hand."""

_BLANK: Final = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
VISIBLE: Final = re.compile(f"[^{_BLANK}]")
"""A character that a reader sees; a text without one is empty to the eye."""
CATALOG_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST: Final = rf"(\[[0-9A-Fa-f:.]+\]|[^{_BLANK}/?#@%:\\\[\]]+)"
_PORT: Final = (
    r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_REST: Final = rf"[^{_BLANK}\\]*"
_ABSOLUTE: Final = rf"[Hh][Tt][Tt][Pp][Ss]?://{_HOST}(:{_PORT})?([/?#]{_REST})?"
WEBSITE: Final = re.compile(_ABSOLUTE)
WEB_ADDRESS: Final = re.compile(rf"{_ABSOLUTE}|/([^{_BLANK}/\\]{_REST})?")
"""Absolute, or a path on the same host, and the same to us as to every browser: browsers read a
backslash as a slash, and show what stands before an ``@`` as if it were the host."""


MARKUP: Final = re.compile(r"<[A-Za-z/!?]|&(amp|lt|gt|quot|apos|nbsp|#[0-9]+|#[xX][0-9A-Fa-f]+);")
"""What is left of a web page in a text: pages show texts as they are, so readers would see it."""
_DATE: Final = r"2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_OFFSET: Final = r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
MOMENT: Final = re.compile(f"{_DATE}[Tt]{_TIME}{_OFFSET}")
"""A time with its offset, in RFC 3339, within FIRST_YEAR and LAST_YEAR."""


def said(**keywords: Any) -> msgspec.Meta:
    """What the description of the API says of a type, in JSON Schema's keywords."""
    return msgspec.Meta(extra_json_schema=keywords)


def whole(pattern: re.Pattern[str]) -> str:
    """The pattern as JSON Schema writes it, for the whole text."""
    return f"^({pattern.pattern})$"


Id = Annotated[str, said(pattern=whole(CATALOG_ID))]
"""Names a placement, variant or persona of the catalog."""
Text = Annotated[str, said(maxLength=MAX_TEXT)]
Plain = Annotated[str, said(**{"maxLength": MAX_TEXT, "not": {"pattern": MARKUP.pattern}})]
"""Text that visitors read."""
Moment = Annotated[datetime, msgspec.Meta(tz=True), said(pattern=whole(MOMENT))]
"""A moment; stored in UTC and whole milliseconds."""
Url = Annotated[str, said(pattern=whole(WEB_ADDRESS), maxLength=MAX_URL)]
Website = Annotated[str, said(pattern=whole(WEBSITE), maxLength=MAX_URL)]
Tag = Annotated[str, said(pattern=VISIBLE.pattern, maxLength=MAX_TAG_LENGTH)]
AttributeName = Annotated[str, said(minLength=1, maxLength=MAX_TAG_LENGTH)]
TraitName = Annotated[str, said(minLength=1, maxLength=MAX_TAG_LENGTH)]
Whole = Annotated[int, said(minimum=-MAX_NUMBER, maximum=MAX_NUMBER)]
Number = Annotated[float, said(minimum=-MAX_NUMBER, maximum=MAX_NUMBER)]
Attribute = Text | bool | Whole | Number
Share = Annotated[float, said(minimum=0, maximum=1)]
PositiveShare = Annotated[float, said(exclusiveMinimum=0, maximum=1)]
Weight = Annotated[float, said(exclusiveMinimum=0, maximum=MAX_WEIGHT)]
Count = Annotated[int, said(minimum=0)]

TAGS: Final = said(maxItems=MAX_TAGS, uniqueItems=True)
ATTRIBUTES: Final = said(maxProperties=MAX_ATTRIBUTES)
NAMED: Final = said(required=["id"], properties={"id": {"type": "string"}})
"""A variant in a list names itself; one that has a path of its own is named by that."""


def too_far(value: object) -> bool:
    """Whether ``value`` is a number beyond MAX_NUMBER, infinite or not a number at all."""
    return isinstance(value, int | float) and not -MAX_NUMBER <= value <= MAX_NUMBER
