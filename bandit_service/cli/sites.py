"""The site that a command speaks of: whether it is there, and by which settings."""

from __future__ import annotations

from pathlib import Path

from bandit_service.errors import InvalidInput, NotFound
from bandit_service.folds.learner import stored_settings
from bandit_service.policy.settings import SiteSettings, read_settings
from bandit_service.services import Services
from bandit_service.storage.ports import SiteStore


def known_site(services: Services, *, hint: str) -> SiteStore:
    """The site of the settings.

    Raises:
        NotFound: with ``hint``, if the store has no such site.
    """
    site = services.settings.site
    if site not in services.store.sites():
        raise NotFound(f"there is no site {site!r} in {services.store.describe()}", hint=hint)
    return services.store.site(site)


def serving_settings(services: Services, store: SiteStore) -> SiteSettings:
    """Those of the snapshot that serves, or of the configuration where there is none."""
    head = store.head()
    return services.site_settings if head is None else stored_settings(store, head.name)


def read_site_settings(file: Path) -> SiteSettings:
    """The rewards and the policy in a file.

    Raises:
        InvalidInput: if it cannot be read.
        SettingsError: if it is wrong.
    """
    try:
        return read_settings(file.read_bytes(), name=str(file))
    except OSError as exc:
        raise InvalidInput(
            f"{file} cannot be read: {exc.strerror}", hint="is the path right?"
        ) from exc
