"""Actions of decision-service JSON: their names, and what a model sees of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from bandit_service.catalog.model import Scalar, Variant
from bandit_service.errors import LogError
from bandit_service.evaluation.batch import Asked
from bandit_service.evaluation.logs.examples import Features, Item
from bandit_service.events.entries import Decision
from bandit_service.kept import Kept
from bandit_service.policy.chooser import Candidates
from bandit_service.policy.features import shared_line

_NAMES: Final = ("_tag", "id", "Id", "name")
"""Where an action's own name is looked for, in this order."""
_MAX_NAMES: Final = 50_000
_MAX_NAME_BYTES: Final = 32 * 1_048_576
"""How many names of actions are kept, and how much room their features may take."""
_LONGEST_VERSION: Final = 20
"""Digits."""
_DEEPEST: Final = 8
"""Levels of features that get a name of their own."""


class _Space(msgspec.Struct, frozen=True):
    """A namespace of text, as ``archive.dsjson`` writes it."""

    text: str = msgspec.field(name="_text")


_Candidate = dict[str, dict[str, str | float]]
"""Namespaces of a candidate: of text, or of features that weigh alike."""


class Actions:
    """Names of actions, which are the same for the same features."""

    def __init__(self) -> None:
        self._known: Kept[bytes, str] = Kept(entries=_MAX_NAMES, room=_MAX_NAME_BYTES)

    def names(self, actions: Sequence[msgspec.Raw]) -> list[str]:
        """A name for each action of one line, no two alike."""
        names = [self._name(bytes(raw)) or f"action-{n}" for n, raw in enumerate(actions)]
        if len(set(names)) < len(names):
            met: set[str] = set()
            for n, name in enumerate(names):
                names[n] = name if name not in met else f"{name}#{n}"
                met.add(names[n])
        return names

    def _name(self, raw: bytes) -> str:
        known = self._known.get(raw)
        if known is None:
            known = _name_of(msgspec.json.decode(raw))
            self._known.keep(raw, known, len(raw))
        return known


def asked_of(row: Item) -> Asked:
    """What a model sees of a row.

    Raises:
        LogError: if its features are not what they are said to be.
    """
    try:
        features = msgspec.json.decode(row.example.features)
        return _theirs(row, features) if row.example.bandit is None else _ours(row, features)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise LogError(
            f"{row.place} has features that cannot be read: {exc}",
            hint="drop the line, or evaluate policies that need no features",
        ) from exc


def persona_of(features: Features) -> str:
    """The persona that a line of ours names."""
    space = msgspec.json.decode(features.persona, type=_Space | None)
    pairs = [] if space is None else _pairs(space)
    return pairs[0][1] if pairs else "unknown"


def _theirs(row: Item, features: dict[str, Any]) -> Asked:
    """As the service would have it."""
    multi = features["_multi"]
    context = dict(flattened({k: v for k, v in features.items() if k not in ("_multi", "_slots")}))
    slots = features.get("_slots")
    if row.slot is not None and isinstance(slots, list) and row.slot < len(slots):
        context |= {f"slot.{name}": text for name, text in flattened(slots[row.slot])}
    variants = [
        Variant(id=row.arms[n], version=1, attributes=dict(flattened(multi[n])), status="live")
        for n in row.shown.candidates
    ]
    candidates = Candidates.inline(row.shown.placement, variants)
    words = {name: _text(value) for name, value in context.items()}
    decision = _decision(row, candidates, {}, words)
    return Asked(decision, shared_line("unknown", {}, words), candidates)


def flattened(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Scalar]]:
    """Features by dotted names, as far as they are a model's: names with ``_`` are the log's own.

    A list of objects is all of them together, any other list its values by number.
    """
    if isinstance(value, dict) and depth < _DEEPEST:
        for key, inner in value.items():
            if not key.startswith("_"):
                yield from flattened(inner, f"{name}.{key}" if name else key, depth + 1)
        if isinstance(value.get("_text"), str):
            yield (f"{name}.text" if name else "text"), value["_text"]
    elif isinstance(value, list) and depth < _DEEPEST:
        for number, inner in enumerate(value):
            inside = name if isinstance(inner, dict) else f"{name}.{number}"
            yield from flattened(inner, inside, depth + 1)
    elif isinstance(value, str | bool | int | float):
        yield name or "value", value
    elif value is not None:
        yield name or "value", msgspec.json.encode(value).decode()


def _ours(row: Item, features: dict[str, Any]) -> Asked:
    """The very lines of the service, which the export holds."""
    multi = msgspec.convert(features.pop("_multi"), list[_Candidate])
    spaces = msgspec.convert(features, dict[str, _Space])
    shared = "".join(f" |{name} {space.text}" for name, space in spaces.items())
    lines = [" ".join(_written(name, space) for name, space in a.items()) for a in multi]
    candidates = Candidates([_variant(arm) for arm in row.arms], lines)
    found = {name: _pairs(space) for name, space in spaces.items()}
    traits: dict[str, list[str]] = {}
    for name, value in found.get("t", []):
        traits.setdefault(name, []).append(value)
    context = dict((*found.get("v", []), *found.get("s", [])))
    return Asked(_decision(row, candidates, traits, context), f"shared{shared}", candidates)


def _written(name: str, space: dict[str, str | float]) -> str:
    """A namespace of a candidate as a line of the service has it."""
    match [*dict.fromkeys(space.values())]:
        case [str(text)] if [*space] == ["_text"]:
            return f"|{name} {text}"
        case [int(weight) | float(weight)]:
            return f"|{name}:{weight:.4g} {' '.join(space)}"
    raise ValueError(f"the features of {name} neither are text nor weigh alike")


def _pairs(space: _Space) -> list[tuple[str, str]]:
    """The features of a namespace, which ``policy.features`` wrote as ``name=value``."""
    split = (word.partition("=") for word in space.text.split(" ") if word)
    return [(_plain(name), _plain(value)) for name, _, value in split]


def _plain(text: str) -> str:
    try:
        return unquote(text, errors="surrogatepass")
    except UnicodeDecodeError:
        return text  # none of ours


def _variant(arm: str) -> Variant:
    """The variant of an arm, which is ``variant@version`` where the service made it."""
    name, _, version = arm.rpartition("@")
    if version.isascii() and version.isdecimal() and len(version) < _LONGEST_VERSION:
        variant = Variant(id=name, version=int(version), status="live")
        if variant.arm == arm:
            return variant
    return Variant(id=arm, version=1, status="live")


def _decision(
    row: Item,
    candidates: Candidates,
    traits: dict[str, list[str]],
    context: dict[str, str],
) -> Decision:
    event = row.example.id
    return Decision(
        id=row.place if event is None else str(event),
        at=row.ms,
        placement=row.shown.placement,
        revision=0,
        arms=candidates.arms,
        probabilities=row.shown.logged,
        chosen=row.shown.chosen,
        snapshot="none",
        reason="learned",
        persona=row.persona,
        confidence=0.0,
        traits=traits,
        context=context,
        inline=list(candidates.variants),
    )


def _name_of(action: Any) -> str:
    """The name of an action, or nothing where it has neither that nor features."""
    places = [action, *action.values()] if isinstance(action, dict) else []
    places += [inner for place in places if isinstance(place, list) for inner in place]
    for place in places:
        for name in _NAMES if isinstance(place, dict) else ():
            found = place.get(name)
            if isinstance(found, str | int) and str(found):
                return str(found)
    if not action:
        return ""
    text = msgspec.json.encode(action, order="deterministic")
    return f"action-{blake2b(text, digest_size=4).hexdigest()}"


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
