r"""What the model sees of a decision, as lines of Vowpal Wabbit's text format.

One shared line says who asks and in which situation; one line a candidate says what it is. Four
families of shared features, each a namespace:

    p  persona          who, as resolved
    t  traits           who, as declared
    v  visitor          this visitor and this content: how often shown, when last
    s  situation        device, country, hour band, weekday, channel, …

and of a candidate ``a`` (its identity: placement, variant, version), ``g`` (its tags, its
attributes, and the tags of its placement's content) and ``w`` (the words of its headline, together
as long as one feature). Every family named in the settings is crossed with ``a`` (what this
creative does for them) and with ``g`` (what such creatives do for them, anywhere): a new variant
starts from what its tags have earned.

The lines name all that a model may know. Whoever keeps sums besides VW's weights reads from them
whose they are: ``identity_of`` a candidate, ``persona_of`` a decision.

Text from outside is syntax here (``|``, ``:``, space, newline), so every name and value passes
through ``escape``, which is injective: two different inputs never become one feature, and no input
can add a feature, a namespace, a label or a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from bandit_service.catalog.model import Placement, Scalar, Variant
from bandit_service.policy.settings import Family

NAMESPACES: Final[Mapping[Family, str]] = {
    "persona": "p",
    "traits": "t",
    "visitor": "v",
    "situation": "s",
}
TAGS: Final = "g"
WORDS: Final = "w"
MAX_WORDS: Final = 40
"""Words of a headline that are looked at."""
_WORD: Final = re.compile(r"[^\W_]+")
"""Letters and digits: JSON for VW cannot name a feature that begins with ``_``."""
VISITOR_KEYS: Final = frozenset({"seen", "last"})
"""Context features about the visitor and this content; all others belong to the situation."""


def escape(text: str) -> str:
    """``text`` with everything but letters, digits, ``_ . - ~`` and ``/`` percent-encoded.

    Lone surrogates, which JSON can carry and UTF-8 cannot, are encoded too.
    """
    return quote(text, safe="/", errors="surrogatepass")


@lru_cache(maxsize=65_536)
def feature(name: str, value: str) -> str:
    """One categorical feature; few differ, so they are kept."""
    return f"{escape(name)}={escape(value)}"


def shared_line(
    persona: str, traits: Mapping[str, Iterable[str]], context: Mapping[str, str]
) -> str:
    """The shared line of a decision. The order of keys in the mappings does not matter."""
    line = f"shared |p {feature('persona', persona)}"
    declared = [feature(k, v) for k, values in traits.items() for v in values]
    if declared:
        line += f" |t {' '.join(sorted(declared))}"
    visitor: list[str] = []
    situation: list[str] = []
    for name, value in context.items():
        (visitor if name in VISITOR_KEYS else situation).append(feature(name, value))
    if visitor:
        line += f" |v {' '.join(sorted(visitor))}"
    if situation:
        line += f" |s {' '.join(sorted(situation))}"
    return line


def action_line(placement: str, content_tags: Iterable[str], variant: Variant) -> str:
    """The line of one candidate, without a label."""
    # A slash in the variant's id is encoded, so that the last one ends the placement's.
    identity = f"{escape(placement)}/{quote(variant.id, safe='', errors='surrogatepass')}"
    described = [feature("tag", tag) for tag in variant.tags]
    described += [feature("content", tag) for tag in content_tags]
    described += [_attribute(name, value) for name, value in variant.attributes.items()]
    line = f"|a {identity}@{variant.version}"
    if described:
        line += f" |{TAGS} {' '.join(sorted(described))}"
    words = _words(variant.headline) if variant.headline else ()
    return f"{line} |{WORDS}:{len(words) ** -0.5:.4g} {' '.join(words)}" if words else line


def placement_lines(placement: Placement, variants: Iterable[Variant]) -> list[str]:
    """The lines of several candidates of one placement."""
    return [action_line(placement.id, placement.tags, variant) for variant in variants]


@lru_cache(maxsize=65_536)
def identity_of(action: str) -> tuple[str, str]:
    """The placement, and the variant with its version, that an action line is of; escaped."""
    placement, _, arm = action[3:].split(" ", 1)[0].rpartition("/")
    return placement, arm


@lru_cache(maxsize=65_536)
def persona_of(shared: str) -> str:
    """The persona that a shared line is of, as the feature that names it."""
    return shared[len("shared |p ") :].split(" ", 1)[0]


def _words(headline: str) -> list[str]:
    """The different words of a headline, in a fixed order."""
    found = dict.fromkeys(_WORD.findall(headline.lower()))
    return sorted(escape(word) for word in [*found][:MAX_WORDS])


def _attribute(name: str, value: Scalar) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return feature(f"is.{name}", text)
