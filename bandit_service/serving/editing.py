"""Changing the catalog: read, edit, commit; each change is an entry of the log.

Concurrency is optimistic. An ``ETag`` is a digest of what was read; a change that carries it
(``If-Match``) is refused if the thing changed since. A change without one is applied to whatever
is there, again if another change slips in between.

Several placements, and the personas, can be changed together (``put_document``, ``put_all``): then
all of them are, or none, since the store takes them in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple, TypeVar

import msgspec

from bandit_service.catalog import edit, undo
from bandit_service.catalog.checks import check_id
from bandit_service.catalog.document import CatalogDocument
from bandit_service.catalog.model import (
    Edited,
    Finish,
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.catalog.moments import moment_of
from bandit_service.errors import Conflict, InvalidCatalog, NotFound
from bandit_service.events.entries import PersonasChanged, PlacementChanged, encode
from bandit_service.serving.airings import Airings
from bandit_service.storage.ports import PERSONAS_KEY, Amendment, Document, SiteStore

_ATTEMPTS: Final = 20
_SINGLY: Final = 50
"""Up to how many placements are read one by one rather than all there are."""
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


class Replacement(NamedTuple):
    """A placement as it was read, None if there was none, and as it is to be."""

    old: Placement | None
    new: Placement


class CatalogEditor:
    """Changes to the catalog of one site, on behalf of one key."""

    def __init__(self, store: SiteStore, *, by: str, clock: Callable[[], int]) -> None:
        """``by`` names the key in the log; ``clock`` gives ms since the Unix epoch."""
        self._store = store
        self._by = by
        self._clock = clock
        self._airings = Airings(store)

    # -- reading

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
            raise no_placement(placement_id)
        return found

    def variant(self, placement_id: str, variant_id: str) -> Variant:
        """One variant, at its current version.

        Raises:
            NotFound: if there is none by that id.
        """
        placement = self.placement(placement_id)
        found = placement.variant(variant_id)
        if found is None:
            raise edit.no_variant(placement, variant_id)
        return found

    def personas(self) -> Personas:
        """The personas; none before they are first put."""
        document = self._store.document(PERSONAS_KEY)
        return Personas() if document is None else _personas(document)

    # -- changing one thing

    def put_placement(
        self, placement_id: str, spec: PlacementSpec, condition: Condition = UNCONDITIONAL
    ) -> Placement:
        """Create or replace a placement. See ``catalog.edit.put_placement``."""
        check_id(placement_id, "placement")

        def change(old: Placement | None) -> Placement:
            condition.check(old)
            return edit.put_placement(old, placement_id, spec, now=self._clock())

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
            return edit.put_variant(old, placement_id, variant_id, spec, now=self._clock())

        placement = self._change(placement_id, change)
        return next(v for v in placement.variants if v.id == variant_id)

    def put_finish(
        self, placement_id: str, finish: Finish | None, condition: Condition = UNCONDITIONAL
    ) -> Placement:
        """Say how a placement ends, or (None) that it goes on. See ``catalog.edit.put_finish``.

        Raises:
            NotFound: if there is none by that id.
        """
        return self._change_known(
            placement_id, condition, lambda old: edit.put_finish(old, finish, now=self._clock())
        )

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
                raise no_placement(placement_id)
            condition.check(old if variant_id is None else old.variant(variant_id))
            if variant_id is None:
                return edit.retire_placement(old, now=self._clock())
            return edit.retire_variant(old, variant_id, now=self._clock())

        self._change(placement_id, change)

    def remove(
        self, placement_id: str, variant_id: str, condition: Condition = UNCONDITIONAL
    ) -> None:
        """Remove a variant that no visitor was shown. See ``catalog.undo.without``.

        Raises:
            NotFound: if there is none by that id.
            Conflict: if a visitor was shown it, or nobody can tell.
        """

        def change(old: Placement | None) -> Placement:
            if old is None:
                raise no_placement(placement_id)
            condition.check(old.variant(variant_id))
            since = (old.aired or {}).get(variant_id)
            served = self._airings.since(since, placement_id)
            return undo.without(old, variant_id, served=served, now=self._clock())

        self._change(placement_id, change)

    def revert(
        self, placement_id: str, revision: int, condition: Condition = UNCONDITIONAL
    ) -> Placement:
        """Put a placement back to what it was at a revision. See ``catalog.undo.reverted``.

        Raises:
            NotFound: if there is no such placement, or it had no such revision.
        """

        def change(old: Placement) -> Placement:
            then = placement_at(self._store, placement_id, revision)
            if then is None:
                raise NotFound(
                    f"placement {placement_id!r} had no revision {revision}",
                    field="revision",
                    hint=f"GET /v1/placements/{placement_id}/history lists them",
                )
            since = None if then.edited is None else then.edited.at
            served = self._airings.since(since, placement_id)
            return undo.reverted(old, then, served=served, now=self._clock())

        return self._change_known(placement_id, condition, change)

    def put_personas(self, spec: PersonasSpec, condition: Condition = UNCONDITIONAL) -> Personas:
        """Replace the personas. See ``catalog.edit.put_personas``."""
        for _ in range(_ATTEMPTS):
            old = self.personas()
            condition.check(old)
            new = edit.put_personas(old, spec)
            if new is old:
                return old
            if self._store.commit([self._personas_amended(old, new)]):
                return new
        raise _busy()

    # -- changing many things together

    def put_document(self, document: CatalogDocument) -> int:
        """Put a whole catalog; how many placements it named.

        Raises:
            InvalidCatalog: naming the first mistake; nothing was changed.
        """
        for _ in range(_ATTEMPTS):
            drafts = self._drafts(document)
            if self._commit(drafts, self._personas_drafted(document)):
                return len(drafts)
        raise _busy()

    def check_document(self, document: CatalogDocument) -> list[Replacement]:
        """What putting a whole catalog would make of its placements, checked and not stored.

        Raises:
            InvalidCatalog: naming the first mistake.
        """
        self._personas_drafted(document)
        return self._drafts(document)

    def put_all(self, replacements: Sequence[Replacement]) -> None:
        """Store placements that were made from what was read: all of them, or none.

        Raises:
            Conflict: if one of them changed since it was read; nothing was stored.
        """
        if not self._commit(replacements, None):
            raise Conflict(
                "a placement has changed since it was read",
                hint="look at the preview again: it says what would happen now",
            )

    def several(self, placement_ids: Iterable[str]) -> Mapping[str, Placement]:
        """Of some placements those that exist, by id."""
        wanted = set(placement_ids)
        if len(wanted) > _SINGLY:
            return {each.id: each for each in self.placements() if each.id in wanted}
        found = ((name, self._placement(name)) for name in wanted)
        return {name: placement for name, placement in found if placement is not None}

    # -- inside

    def _drafts(self, document: CatalogDocument) -> list[Replacement]:
        drafts = [self._drafted(spec.id or "", spec) for spec in document.placements]
        if len({draft.new.id for draft in drafts}) != len(drafts):
            raise InvalidCatalog(
                "a placement is listed twice", field="placements", hint="list each of them once"
            )
        return drafts

    def _drafted(self, placement_id: str, spec: PlacementSpec) -> Replacement:
        try:
            old = self._placement(check_id(placement_id, "id"))
            return Replacement(old, edit.put_placement(old, placement_id, spec, now=self._clock()))
        except InvalidCatalog as exc:
            raise InvalidCatalog(
                f"placement {placement_id[:80]!r}: {exc.message}",
                field=f"placements.{placement_id[:80]}.{exc.field}",
                hint=exc.hint,
            ) from exc

    def _personas_drafted(self, document: CatalogDocument) -> tuple[Personas, Personas] | None:
        spec = document.personas_spec()
        if spec is None:
            return None
        old = self.personas()
        return old, edit.put_personas(old, spec)

    def _commit(
        self, replacements: Sequence[Replacement], personas: tuple[Personas, Personas] | None
    ) -> bool:
        """Store what changed of it in one piece; False if something else changed it meanwhile."""
        amendments = [self._amended(*pair) for pair in replacements if pair.new is not pair.old]
        if personas is not None and personas[0] is not personas[1]:
            amendments.insert(0, self._personas_amended(*personas))
        return not amendments or self._store.commit(amendments)

    def _placement(self, placement_id: str) -> Placement | None:
        return placement_at(self._store, placement_id)

    def _change_known(
        self, placement_id: str, condition: Condition, change: Callable[[Placement], Placement]
    ) -> Placement:
        """Change a placement that must exist."""

        def checked(old: Placement | None) -> Placement:
            if old is None:
                raise no_placement(placement_id)
            condition.check(old)
            return change(old)

        return self._change(placement_id, checked)

    def _change(
        self, placement_id: str, change: Callable[[Placement | None], Placement]
    ) -> Placement:
        for _ in range(_ATTEMPTS):
            old = self._placement(placement_id)
            new = change(old)
            if new is old:
                return new
            amendment = self._amended(old, new)
            if self._store.commit([amendment]):
                return _placement(amendment.document)
        raise _busy()

    def _amended(self, old: Placement | None, new: Placement) -> Amendment:
        now = self._clock()
        new = msgspec.structs.replace(new, edited=Edited(at=moment_of(now), by=self._by))
        entry = PlacementChanged(placement=new, at=now, by=self._by)
        document = Document(new.id, new.revision, msgspec.json.encode(new))
        return Amendment(document, 0 if old is None else old.revision, encode(entry))

    def _personas_amended(self, old: Personas, new: Personas) -> Amendment:
        entry = PersonasChanged(personas=new, at=self._clock(), by=self._by)
        document = Document(PERSONAS_KEY, new.revision, msgspec.json.encode(new))
        return Amendment(document, old.revision, encode(entry))


def placement_at(
    store: SiteStore, placement_id: str, revision: int | None = None
) -> Placement | None:
    """A placement as it is, or as it was at a revision; None if there is none, as at revision 0."""
    if placement_id == PERSONAS_KEY:
        return None
    document = store.document(placement_id, revision)
    return None if document is None else _placement(document)


def no_placement(placement_id: str) -> NotFound:
    """The error for a placement that there is none of."""
    return NotFound(
        f"there is no placement {placement_id[:80]!r}",
        field="placement",
        hint="GET /v1/placements lists them",
    )


def _placement(document: Document) -> Placement:
    return msgspec.json.decode(document.data, type=Placement)


def _personas(document: Document) -> Personas:
    return msgspec.json.decode(document.data, type=Personas)


def _busy() -> Conflict:
    return Conflict("others keep changing it at the same moment", hint="try again")
