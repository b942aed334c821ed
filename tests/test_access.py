"""Keys: made once, stored as digests, refused when wrong, revoked or not far-reaching enough."""

from __future__ import annotations

import re

import msgspec
import pytest

from bandit_service.access import (
    ROLES,
    KeyRecord,
    KeyRing,
    Role,
    check_site,
    digest_of,
    make_key,
    random_part,
)
from bandit_service.errors import InvalidInput, NotAllowed, NotAuthenticated, NotFound
from bandit_service.services import Services

NOW = 1_900_000_000_000


def made(role: Role = "site", *, site: str = "main") -> tuple[str, KeyRecord]:
    return make_key(site, role, label="test", at=7, entropy=random_part())


def ring(*keys: tuple[str, KeyRecord]) -> KeyRing:
    records = {digest_of(key): msgspec.json.encode(record) for key, record in keys}
    return KeyRing(records, clock=lambda: NOW)


# -- names and keys


@pytest.mark.parametrize("site", ["a", "0", "main", "my-site-2", "x" * 32])
def test_a_site_may_be_called_so(site: str) -> None:
    assert check_site(site) == site


@pytest.mark.parametrize("site", ["", "-a", "Main", "a b", "a_b", "a{b}", "é", "x" * 33, "a\n"])
def test_a_site_may_not_be_called_so(site: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_site(site)

    assert caught.value.field == "site"


def test_a_key_names_its_site_and_its_record_keeps_nothing_of_it() -> None:
    key, record = made("editor")

    assert re.fullmatch(r"bk_main_[A-Za-z0-9_-]{43}", key)
    assert (record.site, record.role, record.label, record.created) == ("main", "editor", "test", 7)
    assert record.id == digest_of(key)[:8]
    assert key.removeprefix("bk_main_") not in msgspec.json.encode(record).decode()


def test_no_key_is_made_for_what_cannot_be_a_site() -> None:
    with pytest.raises(InvalidInput):
        made(site="Not A Site")


def test_keys_do_not_repeat() -> None:
    assert len({made()[0] for _ in range(100)}) == 100


# -- who is let in


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_valid_key_is_its_record(scheme: str) -> None:
    key, record = made()

    assert ring((key, record)).authenticate(f"{scheme} {key}", "site") == record


@pytest.mark.parametrize("holder", ROLES)
@pytest.mark.parametrize("asked", ROLES)
def test_a_role_has_the_rights_of_those_before_it(holder: Role, asked: Role) -> None:
    key, record = made(holder)
    keys = ring((key, record))

    if ROLES.index(holder) >= ROLES.index(asked):
        assert keys.authenticate(f"Bearer {key}", asked) == record
    else:
        with pytest.raises(NotAllowed, match=asked) as caught:
            keys.authenticate(f"Bearer {key}", asked)
        assert f"--role {asked}" in str(caught.value.hint)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "{key}",
        "Basic {key}",
        "Token {key}",
        "Bearer {key}x",
        "Bearer {shorter}",
        "Bearer {digest}",
        "Bearer {key} {key}",
        "Bearer kéy",
        "Bearer \ud800",
        "Bearer " + "x" * 100_000,
    ],
)
def test_anything_else_is_nobody(header: str | None) -> None:
    # given
    key, record = made("admin")
    keys = ring((key, record))

    # when
    if header is not None:
        header = header.format(key=key, shorter=key[:-1], digest=digest_of(key))
    with pytest.raises(NotAuthenticated) as caught:
        keys.authenticate(header, "site")

    # then
    assert caught.value.hint
    assert key not in str(caught.value)


def test_an_unknown_and_a_revoked_key_are_nobody() -> None:
    key, record = made()
    unknown, _ = made()
    keys = ring((key, msgspec.structs.replace(record, revoked=8)))

    for refused in (key, unknown):
        with pytest.raises(NotAuthenticated):
            keys.authenticate(f"Bearer {refused}", "site")


def test_a_key_is_checked_for_its_role_however_often_it_comes() -> None:
    # given a key that was let in once
    key, record = made("site")
    keys = ring((key, record))
    keys.authenticate(f"Bearer {key}", "site")

    # then
    for _ in range(2):
        with pytest.raises(NotAllowed):
            keys.authenticate(f"Bearer {key}", "editor")


def test_however_many_keys_there_are_each_is_itself() -> None:
    pairs = [made() for _ in range(1_100)]
    keys = ring(*pairs)

    for _ in range(2):
        for key, record in pairs:
            assert keys.authenticate(f"Bearer {key}", "site") == record


# -- in a running service


def test_a_key_made_elsewhere_is_let_in_at_the_next_look(services: Services) -> None:
    key, record = services.keys.create("main", "editor", label="laptop")

    services.refresh()

    assert services.authenticate(f"Bearer {key}", "editor") == record
    assert services.store.keys().keys() == {digest_of(key)}
    assert key.encode() not in b"".join(services.store.keys().values())


def test_a_revoked_key_is_refused_from_the_next_look_on(services: Services) -> None:
    # given
    key, record = services.keys.create("main", "site")
    services.refresh()
    services.authenticate(f"Bearer {key}", "site")

    # when
    revoked = services.keys.revoke(record.id)
    services.refresh()

    # then
    with pytest.raises(NotAuthenticated):
        services.authenticate(f"Bearer {key}", "site")
    assert revoked.revoked == services.clock()


def test_revoking_twice_keeps_the_first_time(services: Services) -> None:
    _, record = services.keys.create("main", "site")
    first = services.keys.revoke(record.id)

    again = services.keys.revoke(record.id)

    assert again == first


@pytest.mark.parametrize("key_id", ["", "1234567", "zzzzzzzz"])
def test_a_key_that_does_not_exist_cannot_be_revoked(services: Services, key_id: str) -> None:
    services.keys.create("main", "site")

    with pytest.raises(NotFound):
        services.keys.revoke(key_id)
