"""Changing the catalog: read, edit, commit; each change is an entry of the log.

Concurrency is optimistic. An ``ETag`` is a digest of what was read; a change that carries it
(``If-Match``) is refused if the thing changed since. A change without one is applied to whatever
is there, again if another change slips in between.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from bandit_service.catalog import edit
from bandit_service.catalog.checks import check_id
from bandit_service.catalog.document import CatalogDocument
from bandit_service.catalog.model import (
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.errors import Conflict, InvalidCatalog, NotFound
from bandit_service.events.entries import PersonasChanged, PlacementChanged, encode
from bandit_service.storage.ports import PERSONAS_KEY, Document, SiteStore

_ATTEMPTS: Final = 20
ANY: Final = "*"

Read = TypeVar("Read", bound=msgspec.Struct)


def etag(value: msgspec.Struct) -> str:
    """The entity tag of what is shown, quoted as HTTP wants it."""
    return f'"{blake2b(msgspec.json.encode(value), digest_size=8).hexdigest()}"'


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold of the present state for a change to be made."""

    match: str | None = None
    """The ``If-Match`` header: entity tags, or ``*`` for "it exists"."""
    none_match: str | None = None
    """The ``If-None-Match`` header; only ``*``, "it does not exist yet", is of use."""

    def check(self, present: msgspec.Struct | None) -> None:
        """Raise Conflict unless the condition holds."""
        if self.none_match == ANY and present is not None:
            raise Conflict("it exists already", hint="send If-Match to change it")
        if self.match is None:
            return
        tags = [tag.strip().removeprefix("W/") for tag in self.match.split(",")]
        if present is None or (ANY not in tags and etag(present) not in tags):
            raise Conflict(
                "it has changed since it was read",
                hint="read it again and repeat the change with the new ETag in If-Match",
            )


UNCONDITIONAL: Final = Condition()


class CatalogEditor:
    """Changes to the catalog of one site, on behalf of one key."""

    def __init__(self, store: SiteStore, *, by: str, clock: Callable[[], int]) -> None:
        """``by`` names the key in the log; ``clock`` gives ms since the Unix epoch."""
        self._store = store
        self._by = by
        self._clock = clock

    def placements(self) -> list[Placement]:
        """Every placement, retired ones included, by id."""
        _, documents = self._store.catalog(0)
        found = [_placement(d) for d in documents if d.key != PERSONAS_KEY]
        return sorted(found, key=lambda placement: placement.id)

    def placement(self, placement_id: str) -> Placement:
        """One placement.

        Raises:
            NotFound: if there is none by that id.
        """
        found = self._placement(placement_id)
        if found is None:
            raise _no_placement(placement_id)
        return found

    def variant(self, placement_id: str, variant_id: str) -> Variant:
        """One variant, at its current version.

        Raises:
            NotFound: if there is none by that id.
        """
        found = self.placement(placement_id).variant(variant_id)
        if found is None:
            raise NotFound(
                f"placement {placement_id!r} has no variant {variant_id[:80]!r}",
                field="variant",
                hint=f"GET /v1/placements/{placement_id} lists them",
            )
        return found

    def put_placement(
        self, placement_id: str, spec: PlacementSpec, condition: Condition = UNCONDITIONAL
    ) -> Placement:
        """Create or replace a placement. See ``catalog.edit.put_placement``."""
        check_id(placement_id, "placement")

        def change(old: Placement | None) -> Placement:
            condition.check(old)
            return edit.put_placement(old, placement_id, spec)

        return self._change(placement_id, change)

    def put_variant(
        self,
        placement_id: str,
        variant_id: str,
        spec: VariantSpec,
        condition: Condition = UNCONDITIONAL,
    ) -> Variant:
        """Create or replace a variant. See ``catalog.edit.put_variant``."""
        check_id(variant_id, "variant")

        def change(old: Placement | None) -> Placement:
            condition.check(None if old is None else old.variant(variant_id))
            return edit.put_variant(old, placement_id, variant_id, spec)

        placement = self._change(placement_id, change)
        return next(v for v in placement.variants if v.id == variant_id)

    def retire(
        self,
        placement_id: str,
        variant_id: str | None = None,
        condition: Condition = UNCONDITIONAL,
    ) -> None:
        """Take a variant, or a whole placement, out of use.

        Raises:
            NotFound: if there is none by that id.
        """

        def change(old: Placement | None) -> Placement:
            if old is None:
                raise _no_placement(placement_id)
            condition.check(old if variant_id is None else old.variant(variant_id))
            if variant_id is None:
                return edit.retire_placement(old)
            return edit.retire_variant(old, variant_id)

        self._change(placement_id, change)

    def personas(self) -> Personas:
        """The personas; none before they are first put."""
        document = self._store.document(PERSONAS_KEY)
        return Personas() if document is None else _personas(document)

    def put_personas(self, spec: PersonasSpec, condition: Condition = UNCONDITIONAL) -> Personas:
        """Replace the personas. See ``catalog.edit.put_personas``."""
        for _ in range(_ATTEMPTS):
            old = self.personas()
            condition.check(old)
            new = edit.put_personas(old, spec)
            if new is old:
                return old
            entry = PersonasChanged(personas=new, at=self._clock(), by=self._by)
            document = Document(PERSONAS_KEY, new.revision, msgspec.json.encode(new))
            if self._store.commit(document, replaces=old.revision, entry=encode(entry)):
                return new
        raise _busy()

    def put_document(self, document: CatalogDocument) -> int:
        """Put a whole catalog; how many placements it named.

        Everything is checked against the present catalog before the first change is made, so a
        document with a mistake changes nothing.

        Raises:
            InvalidCatalog: naming the first mistake.
        """
        specs = [(spec.id or "", spec) for spec in document.placements]
        personas = document.personas_spec()
        if personas is not None:
            edit.put_personas(self.personas(), personas)
        for placement_id, spec in specs:
            self._check(placement_id, spec)
        if len({placement_id for placement_id, _ in specs}) != len(specs):
            raise InvalidCatalog(
                "a placement is listed twice", field="placements", hint="list each of them once"
            )
        if personas is not None:
            self.put_personas(personas)
        for placement_id, spec in specs:
            self.put_placement(placement_id, spec)
        return len(specs)

    def _check(self, placement_id: str, spec: PlacementSpec) -> None:
        try:
            edit.put_placement(self._placement(check_id(placement_id, "id")), placement_id, spec)
        except InvalidCatalog as exc:
            raise InvalidCatalog(
                f"placement {placement_id[:80]!r}: {exc.message}",
                field=f"placements.{placement_id[:80]}.{exc.field}",
                hint=exc.hint,
            ) from exc

    def _placement(self, placement_id: str) -> Placement | None:
        document = self._store.document(placement_id)
        return None if document is None else _placement(document)

    def _change(
        self, placement_id: str, change: Callable[[Placement | None], Placement]
    ) -> Placement:
        for _ in range(_ATTEMPTS):
            old = self._placement(placement_id)
            new = change(old)
            if new is old:
                return new
            entry = PlacementChanged(placement=new, at=self._clock(), by=self._by)
            document = Document(placement_id, new.revision, msgspec.json.encode(new))
            replaces = 0 if old is None else old.revision
            if self._store.commit(document, replaces=replaces, entry=encode(entry)):
                return new
        raise _busy()


def _placement(document: Document) -> Placement:
    return msgspec.json.decode(document.data, type=Placement)


def _personas(document: Document) -> Personas:
    return msgspec.json.decode(document.data, type=Personas)


def _no_placement(placement_id: str) -> NotFound:
    return NotFound(
        f"there is no placement {placement_id[:80]!r}",
        field="placement",
        hint="GET /v1/placements lists them",
    )


def _busy() -> Conflict:
    return Conflict("others keep changing it at the same moment", hint="try again")
