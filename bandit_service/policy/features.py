r"""What the model sees of a decision, as lines of Vowpal Wabbit's text format.

One shared line says who asks and in which situation; one line a candidate says what it is. Four
families of shared features, each a namespace:

    p  persona          who, as resolved
    t  traits           who, as declared
    v  visitor          this visitor and this content: how often shown, when last
    s  situation        device, country, hour band, weekday, channel, …

and of a candidate ``a`` (its identity: placement, variant, version) and ``g`` (its tags, its
attributes, and the tags of its placement's content). Every family named in the settings is crossed
with ``a`` (what this creative does for them) and with ``g`` (what such creatives do for them,
anywhere): a new variant starts from what its tags have earned.

Text from outside is syntax here (``|``, ``:``, space, newline), so every name and value passes
through ``escape``, which is injective: two different inputs never become one feature, and no input
can add a feature, a namespace, a label or a line.
"""

from __future__ import annotations

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
    identity = f"{escape(placement)}/{escape(variant.id)}@{variant.version}"
    described = [feature("tag", tag) for tag in variant.tags]
    described += [feature("content", tag) for tag in content_tags]
    described += [_attribute(name, value) for name, value in variant.attributes.items()]
    line = f"|a {identity}"
    return f"{line} |g {' '.join(sorted(described))}" if described else line


def placement_lines(placement: Placement, variants: Iterable[Variant]) -> list[str]:
    """The lines of several candidates of one placement."""
    return [action_line(placement.id, placement.tags, variant) for variant in variants]


def _attribute(name: str, value: Scalar) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return feature(f"is.{name}", text)
