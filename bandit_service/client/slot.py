"""One spot of a page, and what stands there when the service has no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bandit_service.client.default import NOTHING, Default
from bandit_service.serving.requests import ContextValue, InlineVariant, SlotRequest


class Slot(msgspec.Struct, frozen=True):
    """A placement to decide on."""

    placement: str
    default: Default = NOTHING
    """What is shown where there is no answer."""
    exclude: Sequence[str] = ()
    """Ids of variants that must not be shown."""
    candidates: Sequence[InlineVariant] | None = None
    """The variants to choose among, where they are not registered."""
    context: Mapping[str, ContextValue] = {}
    """What differs from the rest of the page: the row, say."""

    def request(self) -> SlotRequest:
        """What is asked for it."""
        return SlotRequest(
            placement=self.placement,
            context=dict(self.context),
            exclude=list(self.exclude),
            candidates=None if self.candidates is None else list(self.candidates),
        )


def slot_of(slot: Slot | str, default: Default | None = None) -> Slot:
    """A slot, or that of a placement, with ``default`` in place of its own if there is one."""
    if isinstance(slot, str):
        slot = Slot(slot)
    return slot if default is None else msgspec.structs.replace(slot, default=default)
