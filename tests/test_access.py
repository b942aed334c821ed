"""Keys: made once, stored as digests, refused when wrong, revoked or not far-reaching enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.access import (
    MAX_ORIGINS,
    ROLES,
    KeyRecord,
    KeyRing,
    Role,
    check_origin,
    check_site,
    digest_of,
    make_key,
    random_part,
)
from bandit_service.errors import Conflict, InvalidInput, NotAllowed, NotAuthenticated, NotFound
from bandit_service.services import Services
from bandit_service.serving.keys import KeyKeeper
from bandit_service.storage.memory import MemoryStore

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


# -- origins


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example", "https://shop.example"),
        (" https://shop.example ", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://localhost:03000", "http://localhost:3000"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, kept: str) -> None:
    assert check_origin(given) == kept
    assert check_origin(kept) == kept


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "https://*",
        "https://*.shop.example",
        "shop.example",
        "//shop.example",
        "https:shop.example",
        "https://",
        "https://.",
        "https://:443",
        "https://shop.example/",
        "https://shop.example/path",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://user@shop.example",
        "https://shop.example:",
        "https://shop.example:port",
        "https://shop.example:99999",
        "https://shop.example:-1",
        "https://a.example https://b.example",
        "https://a.example,https://b.example",
        "https://a.example\nhttps://b.example",
        "https://bücher.example",
        "https://\u212aelvin.example",
        "https://[::1",
        "ftp://shop.example",
        "file://",
        "chrome-extension://abc",
        "javascript://shop.example",
    ],
)
def test_what_is_no_origin_of_a_page_is_refused(origin: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_origin(origin)

    assert caught.value.field == "origin"
    assert caught.value.hint


def test_a_key_has_a_bounded_number_of_origins() -> None:
    origins = tuple(f"https://s{n}.example" for n in range(MAX_ORIGINS + 1))

    with pytest.raises(InvalidInput, match="too many"):
        make_key("main", "site", label="", at=1, entropy=random_part(), origins=origins)
    make_key("main", "site", label="", at=1, entropy=random_part(), origins=origins[1:] * 2)


@given(st.text() | st.from_regex(r"https?://\S{0,30}", fullmatch=True))
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    try:
        kept = check_origin(text)
    except InvalidInput:
        return
    assert re.fullmatch(r"https?://[^/?#@\s*]+", kept)
    assert kept == kept.lower() == check_origin(kept)


# -- ends


def test_a_key_is_refused_from_its_end_on_though_it_was_let_in_before() -> None:
    # given
    now = [NOW]
    key, record = made()
    ending = msgspec.structs.replace(record, expires=NOW + 5)
    keys = KeyRing({digest_of(key): msgspec.json.encode(ending)}, clock=lambda: now[0])

    # then
    for now[0] in (NOW, NOW + 4):
        assert keys.authenticate(f"Bearer {key}", "site") == ending
    for now[0] in (NOW + 5, NOW + 10**9):
        with pytest.raises(NotAuthenticated):
            keys.authenticate(f"Bearer {key}", "site")


def test_a_rotated_key_hands_on_all_that_it_may(services: Services) -> None:
    _, record = services.keys.create("main", "editor", label="laptop")

    key, successor, ending = services.keys.rotate(record.id, overlap_ms=1_000)

    assert (successor.role, successor.site, successor.label) == ("editor", "main", "laptop")
    assert (successor.expires, ending.expires) == (None, services.clock() + 1_000)
    assert (ending.id, ending.revoked) == (record.id, None)
    assert services.keys.records()[digest_of(key)] == successor
    assert len(services.keys.records()) == 2


def test_rotating_again_never_lengthens_an_overlap(services: Services) -> None:
    _, record = services.keys.create("main", "site")
    services.keys.rotate(record.id, overlap_ms=1_000)

    _, _, ending = services.keys.rotate(record.id, overlap_ms=50_000)

    assert ending.expires == services.clock() + 1_000


def test_a_rotated_key_can_be_revoked_before_its_overlap_ends(services: Services) -> None:
    key, record = services.keys.create("main", "site")
    services.keys.rotate(record.id, overlap_ms=60_000)

    services.keys.revoke(record.id)
    services.refresh()

    with pytest.raises(NotAuthenticated):
        services.authenticate(f"Bearer {key}", "site")


def test_a_key_that_is_over_has_nothing_to_hand_on(services: Services) -> None:
    _, revoked = services.keys.create("main", "site")
    services.keys.revoke(revoked.id)
    _, expired = services.keys.create("main", "site")
    services.keys.rotate(expired.id, overlap_ms=0)

    for record in (revoked, expired):
        with pytest.raises(Conflict):
            services.keys.rotate(record.id, overlap_ms=1_000)
    with pytest.raises(NotFound):
        services.keys.rotate("00000000", overlap_ms=1_000)


@pytest.mark.parametrize("overlap", [-1, 366 * 86_400_000])
def test_an_overlap_has_bounds(services: Services, overlap: int) -> None:
    _, record = services.keys.create("main", "site")

    with pytest.raises(InvalidInput):
        services.keys.rotate(record.id, overlap_ms=overlap)
    assert len(services.keys.records()) == 1


class Between(MemoryStore):
    """A store where somebody else is served between a reading of the keys and the next writing."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], object]] = []

    def put_keys(self, records: Mapping[str, bytes], *, replaces: Mapping[str, bytes]) -> bool:
        if replaces and self.others:
            self.others.pop()()
        return super().put_keys(records, replaces=replaces)


@pytest.fixture
def contended() -> tuple[Between, KeyKeeper]:
    store = Between()
    return store, KeyKeeper(store, clock=lambda: NOW)


def test_a_rotation_does_not_undo_a_revocation_that_it_did_not_see(
    contended: tuple[Between, KeyKeeper],
) -> None:
    # given a key that is revoked while it is being rotated
    store, keeper = contended
    key, record = keeper.create("main", "site")
    store.others = [lambda: keeper.revoke(record.id)]

    # when
    with pytest.raises(Conflict, match="not valid any more"):
        keeper.rotate(record.id, overlap_ms=60_000)

    # then it stays revoked, and nothing came of it
    assert {d: r.revoked for d, r in keeper.records().items()} == {digest_of(key): NOW}


def test_a_revocation_is_not_lost_to_a_rotation_that_it_did_not_see(
    contended: tuple[Between, KeyKeeper],
) -> None:
    # given
    store, keeper = contended
    _, record = keeper.create("main", "site")
    store.others = [lambda: keeper.rotate(record.id, overlap_ms=60_000)]

    # when
    revoked = keeper.revoke(record.id)

    # then
    assert (revoked.revoked, revoked.expires) == (NOW, NOW + 60_000)
    assert keeper.records()[next(iter(keeper.records()))] == revoked
    assert len(keeper.records()) == 2


def test_of_two_rotations_at_once_the_shorter_overlap_holds(
    contended: tuple[Between, KeyKeeper],
) -> None:
    store, keeper = contended
    key, record = keeper.create("main", "site")
    store.others = [lambda: keeper.rotate(record.id, overlap_ms=1_000)]

    keeper.rotate(record.id, overlap_ms=60_000)

    assert keeper.records()[digest_of(key)].expires == NOW + 1_000
    assert len(keeper.records()) == 3


# -- timing


def test_no_key_is_compared_and_of_a_digest_half_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a ring, and whatever is compared in it
    key, record = made()
    keys = ring((key, record))
    compared: list[tuple[bytes, bytes]] = []

    def watched(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr("bandit_service.access.hmac.compare_digest", watched)

    # when
    keys.authenticate(f"Bearer {key}", "site")

    # then it is the second half of the digest, and nothing of the key is kept to compare with
    half = bytes.fromhex(digest_of(key))[16:]
    assert compared == [(half, half)]
    assert key not in repr(vars(keys))


def test_a_digest_that_agrees_in_its_first_half_alone_opens_nothing() -> None:
    # given a record under another second half
    key, record = made()
    digest = digest_of(key)
    other = digest[:32] + ("0" if digest[32] != "0" else "1") + digest[33:]

    # then
    keys = KeyRing({other: msgspec.json.encode(record)}, clock=lambda: NOW)
    with pytest.raises(NotAuthenticated):
        keys.authenticate(f"Bearer {key}", "site")
