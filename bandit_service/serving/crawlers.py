"""Who is no visitor: crawlers, and browsers that fetch a page before anybody asked to see it.

What they are shown must not be learned from, and what they are shown should not vary: a search
engine indexes one headline. A crawler is known by its user agent, from the list that the library
``crawler-user-agents`` keeps up to date, and from ``traffic.toml`` in the configuration folder,
where a site names crawlers of its own (``crawlers``) and those of the list that are people to it
(``people``, which wins). A prefetcher is known by the purpose that browsers send.

A user agent is nearly a name. It is compared and let go: verdicts are kept in memory, under a
bound, and the text is neither logged nor a feature (``context.without_client``). Guessing crawlers
from how they behave was rejected: what is wrong about it nobody could see or correct.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from crawleruseragents import is_crawler

from bandit_service.errors import SettingsError

Kind = Literal["crawler", "prefetch"]
KINDS: Final[tuple[Kind, ...]] = ("crawler", "prefetch")

FILE: Final = "traffic.toml"
MAX_AGENT: Final = 512
"""How much of a user agent is looked at, in characters."""
MAX_VERDICTS: Final = 5_000
"""Verdicts kept by one process before all are let go: 10 MB at most."""


class TrafficRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``traffic.toml`` may say; each a list of regular expressions, searched for."""

    crawlers: list[str] = []
    people: list[str] = []


class Crawlers:
    """Tells crawlers and prefetchers from people."""

    def __init__(self, rules: TrafficRules | None = None, *, name: str = FILE) -> None:
        """``name`` is what errors call the rules.

        Raises:
            SettingsError: if an expression cannot be used.
        """
        rules = rules or TrafficRules()
        self._crawlers = _compiled(rules.crawlers, f"{name}: crawlers", "crawlers")
        self._people = _compiled(rules.people, f"{name}: people", "people")
        _refuse_everyone(self._crawlers, name)
        self._verdicts: dict[str, bool] = {}
        is_crawler("")  # compiles the list's expressions now rather than in front of a visitor

    def kind(self, agent: object, purpose: object) -> Kind | None:
        """What a request with this user agent and purpose comes from; None: from a person.

        What is no text says nothing.
        """
        if purpose and _is_prefetch(purpose):
            return "prefetch"
        if not agent or not isinstance(agent, str):
            return None
        agent = agent[:MAX_AGENT]
        verdict = self._verdicts.get(agent)
        if verdict is None:
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts.clear()
            verdict = self._verdicts[agent] = self._matches(agent)
        return "crawler" if verdict else None

    def _matches(self, agent: str) -> bool:
        if any(expression.search(agent) for expression in self._people):
            return False
        return is_crawler(agent) or any(e.search(agent) for e in self._crawlers)


def crawlers_in(folder: Path) -> Crawlers:
    """The crawlers by the rules in a configuration folder; the list alone if it has none.

    Raises:
        SettingsError: naming the file and the key, if the rules cannot be used.
    """
    path = folder / FILE
    if not path.exists():
        return Crawlers()
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
        rules = msgspec.convert(read, TrafficRules)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise SettingsError(f"{path}: {exc}", hint="is it TOML, in UTF-8?") from exc
    except msgspec.ValidationError as exc:
        raise SettingsError(
            f"{path}: {exc}", hint="use crawlers and people, each a list of regular expressions"
        ) from exc
    return Crawlers(rules, name=str(path))


def _is_prefetch(purpose: object) -> bool:
    """Whether ``Sec-Purpose`` or ``Purpose`` says so; parameters (``;prerender``) do not matter."""
    if not isinstance(purpose, str):
        return False
    return re.split(r"[;,]", purpose, maxsplit=1)[0].strip().lower() == "prefetch"


def _compiled(expressions: Sequence[str], name: str, field: str) -> list[re.Pattern[str]]:
    found = []
    for expression in expressions:
        try:
            found.append(re.compile(expression))
        except (re.error, RecursionError, OverflowError) as exc:
            raise SettingsError(
                f"{name}: {expression[:80]!r} is not a regular expression: {exc}",
                field=field,
                hint="escape what is meant literally: 'Acme\\(bot\\)'",
            ) from exc
    return found


def _refuse_everyone(expressions: Sequence[re.Pattern[str]], name: str) -> None:
    for expression in expressions:
        if expression.search(""):
            raise SettingsError(
                f"{name}: crawlers: {expression.pattern[:80]!r} matches everybody",
                field="crawlers",
                hint="name something that only the crawler's user agent has",
            )
