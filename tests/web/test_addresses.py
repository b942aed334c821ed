"""No address of a visitor is kept anywhere, however it reaches us."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app
from tests.conftest import Clock

ADDRESSES = ("203.0.113.77", "2001:db8::beef", "198.51.100.23")
HEADERS = {
    "X-Forwarded-For": f"{ADDRESSES[0]}, 10.9.8.7",
    "Forwarded": f'for="[{ADDRESSES[1]}]";proto=https',
    "X-Real-IP": ADDRESSES[0],
    "True-Client-IP": ADDRESSES[0],
    "CF-Connecting-IP": ADDRESSES[1],
}
PEER = {"REMOTE_ADDR": ADDRESSES[2], "REMOTE_PORT": "4711"}


@pytest.fixture
def services(redis_store: RedisStore, clock: Clock) -> Iterator[Services]:
    services = Services(ServiceSettings(), redis_store, clock=clock, site_settings=SiteSettings())
    services.ensure_snapshot("main")
    yield services
    services.close()


def everything(store: RedisStore) -> bytes:
    """Every key of the Redis and every value, whatever its type."""
    client, found = store._client, []
    for key in client.scan_iter("*"):
        found.append(key)
        kind = client.type(key)
        if kind == b"string":
            found.append(client.get(key))
        elif kind == b"hash":
            found += [part for pair in client.hgetall(key).items() for part in pair]
        elif kind == b"set":
            found += client.smembers(key)
        elif kind == b"zset":
            found += client.zrange(key, 0, -1)
        elif kind == b"list":
            found += client.lrange(key, 0, -1)
        elif kind == b"stream":
            found += [
                part for _, row in client.xrange(key) for pair in row.items() for part in pair
            ]
        else:
            pytest.fail(f"{key!r} is a {kind!r}, which this test does not know how to read")
    return b"\x00".join(found)


def test_no_address_of_a_visitor_is_in_log_visits_keys_metrics_or_messages(
    services: Services, redis_store: RedisStore, capfd: pytest.CaptureFixture[str]
) -> None:
    client: FlaskClient = create_app(services).test_client()
    site_key, _ = services.keys.create("main", "site")
    editor_key, _ = services.keys.create("main", "editor")

    def call(method: str, path: str, key: str, body: object) -> dict[str, object]:
        answer = client.open(
            path,
            method=method,
            json=body,
            headers={**HEADERS, "Authorization": f"Bearer {key}"},
            environ_overrides=PEER,
        )
        found: dict[str, object] = answer.get_json() or {}
        return found

    variants = [{"id": name, "headline": name, "status": "live"} for name in ("a", "b")]
    call("PUT", "/v1/placements/film", editor_key, {"kind": "headline", "variants": variants})
    services.refresh()
    asked = {"placement": "film", "visitor": "ann", "context": {"device": "tv"}}
    decision = call("POST", "/v1/decide", site_key, asked)["decision"]
    call("POST", "/v1/decide/page", site_key, {"slots": [{"placement": "film"}], "visitor": "ann"})
    call("POST", "/v1/events", site_key, {"events": [{"decision": decision, "type": "click"}]})
    call("POST", "/v1/events", site_key, {"events": [{"decision": "A" * 32, "type": "click"}]})
    call("POST", "/v1/decide", "wrong key", asked)
    call("POST", "/v1/decide", site_key, {"placement": "nowhere"})
    learner = services.learner("main")
    while learner.step():
        pass
    learner.finish()

    held = everything(redis_store)
    metrics = client.get("/metrics", headers=HEADERS, environ_overrides=PEER).data
    said = "".join(capfd.readouterr()).encode()

    assert b'"t":"event"' in held
    assert b'"device":"tv"' in held
    assert any(b":visitor:" in key for key in redis_store._client.scan_iter("*"))
    assert b"bandit_decisions_total" in metrics
    for address in (*ADDRESSES, "10.9.8.7"):
        assert address.encode() not in held + metrics + said
