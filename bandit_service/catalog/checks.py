"""The limits that placements, variants and personas keep, each refused by name with its remedy.

``problems_of`` finds all that is wrong with a variant, for a form or a table that shows everything
at once; ``check_variant`` raises the first of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized

from bandit_service.catalog.limits import (
    CATALOG_ID,
    MARKUP,
    MAX_ATTRIBUTES,
    MAX_BITS,
    MAX_PERSONAS,
    MAX_RULE_VALUES,
    MAX_RULES,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    MAX_TEXT,
    MAX_URL,
    MAX_VARIANTS,
    MAX_WEIGHT,
    VISIBLE,
    WEB_ADDRESS,
    too_far,
)
from bandit_service.catalog.model import Kind, Personas, Placement, Rule, Scalar, Variant
from bandit_service.catalog.schedule_checks import check_finish, check_schedule, most_reserved
from bandit_service.errors import InvalidCatalog, InvalidInput


def check_id(value: str, field: str) -> str:
    """Return ``value`` if it may name a placement, variant or persona of the catalog.

    Raises:
        InvalidCatalog: with the field's name.
    """
    if not CATALOG_ID.fullmatch(value):
        shown = value if len(value) <= 80 else value[:77] + "..."
        raise InvalidCatalog(
            f"{field} {shown!r} is not a valid id",
            field=field,
            hint="use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
        )
    return value


def check_variant(variant: Variant, kind: Kind | None, field: str) -> Variant:
    """Return ``variant`` if it keeps every rule for a placement of this kind (None: of any).

    Raises:
        InvalidCatalog: naming the offending field below ``field``.
    """
    for problem in problems_of(variant, kind, field):
        raise problem
    return variant


def problems_of(variant: Variant, kind: Kind | None, field: str) -> Iterator[InvalidCatalog]:
    """Every rule that ``variant`` breaks, each naming the field below ``field``."""
    if kind in ("headline", "card") and not VISIBLE.search(variant.headline or ""):
        yield InvalidCatalog(
            f"a {kind} needs a headline", field=f"{field}.headline", hint="give its text"
        )
    if kind in ("thumbnail", "card") and not variant.image_url:
        yield InvalidCatalog(
            f"a {kind} needs an image", field=f"{field}.image_url", hint="give the image's URL"
        )
    for name in ("headline", "alt"):
        yield from _caught(_check_length, getattr(variant, name), MAX_TEXT, f"{field}.{name}")
    for name in ("image_url", "target_url"):
        yield from _caught(_check_url, getattr(variant, name), f"{field}.{name}")
    yield from _caught(check_tags, variant.tags, f"{field}.tags")
    yield from _caught(check_attributes, variant.attributes, f"{field}.attributes")
    yield from _caught(_check_shares, variant, field)
    yield from _caught(check_schedule, variant, field)


def check_plain(text: str | None, field: str) -> str | None:
    """Return a text that visitors read if it holds none of the markup of web pages.

    It is asked of what editors write, not of what is stored or comes with a request: there, what
    was always shown as it is must go on being shown.

    Raises:
        InvalidCatalog: naming the field.
    """
    found = None if text is None else MARKUP.search(text)
    if text is not None and found is not None:
        raise InvalidCatalog(
            f"{field} has markup in it: {text[found.start() :][:20]!r}",
            field=field,
            hint="write plain text: pages show it as it is, with '<' and '&' as such",
        )
    return text


def check_tags(tags: tuple[str, ...], field: str) -> None:
    """Raise InvalidCatalog unless there are few, short, non-empty, distinct tags."""
    if len(tags) > MAX_TAGS:
        raise InvalidCatalog(
            f"{len(tags)} tags are too many", field=field, hint=f"at most {MAX_TAGS}"
        )
    for tag in tags:
        _check_tag(tag, field)
    if len(set(tags)) != len(tags):
        raise InvalidCatalog("a tag is listed twice", field=field, hint="list each tag once")


def check_attributes(attributes: dict[str, Scalar], field: str) -> None:
    """Raise InvalidCatalog unless there are few attributes with short names and finite values."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidCatalog(
            f"{len(attributes)} attributes are too many",
            field=field,
            hint=f"at most {MAX_ATTRIBUTES}",
        )
    for name, value in attributes.items():
        if not name or len(name) > MAX_TAG_LENGTH:
            raise InvalidCatalog(
                f"attribute name {name[:80]!r} is empty or too long",
                field=field,
                hint=f"1 to {MAX_TAG_LENGTH} characters",
            )
        _check_scalar(value, f"{field}.{name}")


def check_placement(placement: Placement) -> Placement:
    """Return ``placement`` if it and its variants keep every rule.

    Raises:
        InvalidCatalog: naming the first offending field.
    """
    check_id(placement.id, "placement")
    _check_length(placement.name, MAX_TEXT, "name")
    check_tags(placement.tags, "tags")
    if len(placement.variants) > MAX_VARIANTS:
        raise InvalidCatalog(
            f"{len(placement.variants)} variants are too many",
            field="variants",
            hint=f"a placement holds at most {MAX_VARIANTS}; use another placement",
        )
    ids = [variant.id for variant in placement.variants]
    for variant_id in ids:
        check_id(variant_id, "variants.id")
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise InvalidCatalog(
            f"variant {twice!r} is listed twice", field="variants", hint="give each its own id"
        )
    for variant in placement.variants:
        check_variant(variant, placement.kind, f"variants.{variant.id}")
    if placement.canonical is not None and placement.canonical not in ids:
        raise InvalidCatalog(
            f"canonical {placement.canonical[:80]!r} is no variant of this placement",
            field="canonical",
            hint="name one of its variants, or leave it out: then it is the first live one",
        )
    if placement.finish is not None:
        check_finish(placement.finish, ids)
    reserved = most_reserved(placement)
    if reserved > 1.0:
        raise InvalidCatalog(
            f"the min_share of the live variants add up to {reserved:g}",
            field="variants.min_share",
            hint="lower them until they add up to 1 at most, at any time",
        )
    return placement


def check_personas(personas: Personas) -> Personas:
    """Return ``personas`` if every persona and rule can be used.

    Raises:
        InvalidCatalog: naming the first offending field.
    """
    if not 0.0 <= personas.threshold <= 1.0:
        raise InvalidCatalog("threshold is outside [0, 1]", field="threshold")
    if not 0.0 <= personas.prior_weight <= MAX_WEIGHT:
        raise InvalidCatalog(
            f"prior_weight is {personas.prior_weight:g}",
            field="prior_weight",
            hint=f"use 0 to {MAX_WEIGHT:g}",
        )
    _check_count(personas.personas, MAX_PERSONAS, "personas")
    seen: set[str] = set()
    for persona in personas.personas:
        check_id(persona.id, "personas.id")
        _check_length(persona.name, MAX_TEXT, f"personas.{persona.id}.name")
        _check_length(persona.description, MAX_TEXT, f"personas.{persona.id}.description")
        _check_count(persona.rules, MAX_RULES, f"personas.{persona.id}.rules")
        if persona.id == "unknown" or persona.id in seen:
            raise InvalidCatalog(
                f"persona {persona.id!r} is reserved or listed twice",
                field="personas.id",
                hint="'unknown' is what a visitor is below the threshold; give each its own id",
            )
        seen.add(persona.id)
        for rule in persona.rules:
            _check_rule(rule, f"personas.{persona.id}.rules")
    return personas


def _check_rule(rule: Rule, field: str) -> None:
    numeric = rule.at_least is not None or rule.at_most is not None
    conditions = (rule.any is not None) + (rule.tagged is not None) + numeric
    if not 1 <= len(rule.trait) <= MAX_TAG_LENGTH:
        raise InvalidCatalog(
            f"trait {rule.trait[:80]!r} is empty or too long",
            field=field,
            hint=f"1 to {MAX_TAG_LENGTH} characters",
        )
    if conditions != 1:
        raise InvalidCatalog(
            "a rule needs exactly one condition",
            field=field,
            hint="give one of: any, tagged, at_least and/or at_most",
        )
    if not 0.0 < rule.weight <= MAX_WEIGHT:
        raise InvalidCatalog(
            f"the weight of a rule on {rule.trait!r} is {rule.weight:g}",
            field=field,
            hint=f"use a positive number up to {MAX_WEIGHT:g}",
        )
    numbers = [bound for bound in (rule.at_least, rule.at_most) if bound is not None]
    values = rule.any or ()
    _check_count(values, MAX_RULE_VALUES, field)
    _check_count(rule.tagged or (), MAX_RULE_VALUES, field)
    for value in (*numbers, *values):
        _check_scalar(value, field)
    for tag in rule.tagged or ():
        _check_tag(tag, field)


def _check_count(values: Sized, limit: int, field: str) -> None:
    if len(values) > limit:
        raise InvalidCatalog(
            f"{field} has {len(values)} entries", field=field, hint=f"at most {limit}"
        )


def _check_tag(tag: str, field: str) -> None:
    if not VISIBLE.search(tag) or len(tag) > MAX_TAG_LENGTH:
        raise InvalidCatalog(
            f"tag {tag[:80]!r} is empty or too long",
            field=field,
            hint=f"1 to {MAX_TAG_LENGTH} characters, one of them visible",
        )


def _check_scalar(value: Scalar, field: str) -> None:
    if isinstance(value, str):
        _check_length(value, MAX_TEXT, field)
    elif too_far(value):
        raise InvalidCatalog(
            f"{field} is a number of more than {MAX_BITS} bits",
            field=field,
            hint="use a smaller one, or give it as text",
        )


def _check_length(text: str | None, limit: int, field: str) -> None:
    if text is not None and len(text) > limit:
        raise InvalidCatalog(
            f"{field} has {len(text)} characters", field=field, hint=f"at most {limit}"
        )


def _check_url(url: str | None, field: str) -> None:
    """Raise InvalidCatalog unless ``url`` means the same to us and to every browser."""
    _check_length(url, MAX_URL, field)
    if url is not None and not (WEB_ADDRESS.fullmatch(url) and _is_text(url)):
        raise InvalidCatalog(
            f"{field} is not a web address",
            field=field,
            hint="use http:// or https:// without user name, or a path that starts with one '/'",
        )


def _is_text(url: str) -> bool:
    """Whether it can be written at all; half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in url)


def _caught(check: Callable[..., object], *arguments: object) -> Iterator[InvalidCatalog]:
    try:
        check(*arguments)
    except InvalidCatalog as problem:
        yield problem


def _check_shares(variant: Variant, field: str) -> None:
    if not 0.0 <= variant.min_share <= variant.max_share <= 1.0 or variant.max_share == 0.0:
        raise InvalidCatalog(
            f"shares {variant.min_share:g} to {variant.max_share:g} are not a range within (0, 1]",
            field=f"{field}.min_share",
            hint="0 <= min_share <= max_share <= 1, and pause a variant rather than cap it at 0",
        )


def require_id(value: str | None, expected: str | None, field: str) -> str:
    """The id from a path or body; refuses a body that names another one than its path.

    Raises:
        InvalidInput: if neither or both differently are given.
    """
    if value is not None and expected is not None and value != expected:
        raise InvalidInput(
            f"the body names {value!r}, the path {expected!r}",
            field=field,
            hint="leave the id out of the body",
        )
    chosen = expected if expected is not None else value
    if chosen is None:
        raise InvalidInput(f"{field} is missing", field=field, hint="give it an id")
    return chosen
