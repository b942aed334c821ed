"""What one key may ask for: who is refused, what they are told, and what it costs others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import limits
import msgspec
import pytest
from flask.testing import FlaskClient

from bandit_service.errors import StorageError, TooManyRequests
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.allowances import Allowances, allowances_at
from bandit_service.web import limits as module
from bandit_service.web.app import create_app
from bandit_service.web.limits import AWAY_SECONDS, SURE_SECONDS, Limiter
from bandit_service.web.routes import ROUTES, Route
from tests.conftest import Api, Headers, body_of, error_of
from tests.web.test_roles import ask, called


class Counted:
    """Allowances without a window, that count how often they are asked and can be away."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: Counter[str] = Counter()
        self.away = False

    def take(self, rate: limits.RateLimitItem, name: str, amount: int) -> bool:
        self._ask("take")
        granted = amount <= self.left
        self.left -= amount if granted else 0
        return granted

    def wait_seconds(self, rate: limits.RateLimitItem, name: str, amount: int) -> float:
        self._ask("wait")
        return 30.0

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.away:
            raise StorageError("away")


class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def limiter(counted: Any, rate: str = "1000/minute", *, workers: int = 2) -> tuple[Limiter, Watch]:
    watch = Watch()
    return Limiter(rate, counted, name="events_rate", workers=workers, clock=watch), watch


def passed(limited: Limiter, calls: int, cost: int = 1, key: str = "k") -> int:
    """How many of some calls were let through."""
    through = 0
    for _ in range(calls):
        try:
            limited.charge(key, cost)
            through += 1
        except TooManyRequests:
            pass
    return through


# -- one worker


def test_a_worker_takes_an_allowance_for_many_calls_at_once() -> None:
    counted = Counted(left=1000)
    limited, _ = limiter(counted)

    assert passed(limited, 1000) == 1000

    assert counted.asked["take"] == 100  # a hundredth of the rate each time


def test_all_that_is_left_is_given_out_and_not_one_more() -> None:
    limited, _ = limiter(Counted(left=27))

    assert passed(limited, 100) == 27


def test_a_refusal_is_repeated_without_asking_for_a_moment_and_then_asked_anew() -> None:
    counted = Counted(left=0)
    limited, watch = limiter(counted)

    assert passed(limited, 500) == 0
    assert counted.asked == {"take": 2, "wait": 1}
    counted.left = 10
    watch.now += SURE_SECONDS

    assert passed(limited, 1) == 1


def test_a_smaller_call_may_pass_where_a_larger_one_was_refused() -> None:
    limited, _ = limiter(Counted(left=27))

    assert passed(limited, 1, cost=500) == 0
    assert passed(limited, 1, cost=20) == 1


def test_an_allowance_lapses_with_its_window() -> None:
    counted = Counted(left=10)
    limited, watch = limiter(counted)
    assert passed(limited, 1) == 1

    watch.now += 60

    assert passed(limited, 9) == 0


def test_keys_do_not_use_up_each_others_allowance() -> None:
    limited, _ = limiter(allowances_at(""), "10/hour")

    assert [passed(limited, 20, key=key) for key in ("a", "b")] == [10, 10]


def test_the_keys_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 5)
    limited, _ = limiter(Counted(left=10_000))

    for n in range(20):
        limited.charge(str(n))

    assert len(limited._accounts) <= 5


def test_without_a_rate_nothing_is_counted() -> None:
    counted = Counted(left=0)
    limited, _ = limiter(counted, "")

    assert passed(limited, 100, cost=1000) == 100
    assert not counted.asked


def test_who_is_refused_learns_when_to_come_again_and_who_asks_for_too_much_that() -> None:
    limited, watch = limiter(Counted(left=0))
    with pytest.raises(TooManyRequests) as first:
        limited.charge("k")
    watch.now += 0.5
    with pytest.raises(TooManyRequests) as second:
        limited.charge("k")
    with pytest.raises(TooManyRequests) as large:
        limited.charge("k", 1001)

    assert (first.value.retry_after, second.value.retry_after) == (30, 30)
    assert "30 s" in (first.value.hint or "")
    assert "1000/minute" in first.value.message
    assert "more than 1000" in (large.value.hint or "")


# -- Redis away


def test_while_the_counters_are_away_calls_pass_and_nobody_waits_for_them_again() -> None:
    counted = Counted(left=0)
    counted.away = True
    limited, watch = limiter(counted)

    assert passed(limited, 300) == 300
    assert counted.asked["take"] == 1

    counted.away = False
    watch.now += AWAY_SECONDS
    assert passed(limited, 1) == 0


# -- several workers


@pytest.mark.redis
def test_all_workers_together_keep_the_rate(redis_store: Any, redis_url: str) -> None:
    workers = [limiter(allowances_at(redis_url), "2000/hour", workers=3)[0] for _ in range(3)]

    through = sum(passed(workers[n % 3], 1) for n in range(6000))

    assert 0.98 * 2000 <= through <= 2000


@pytest.mark.redis
def test_a_worker_that_had_little_to_do_withholds_little(redis_store: Any, redis_url: str) -> None:
    workers = [limiter(allowances_at(redis_url), "2000/hour", workers=3)[0] for _ in range(3)]
    idle = passed(workers[1], 1) + passed(workers[2], 1)

    assert 0.98 * 2000 <= idle + passed(workers[0], 3000) <= 2000


# -- over HTTP


@pytest.fixture
def limited_client(services: Services) -> Callable[..., FlaskClient]:
    """A client of an application with other rates."""

    def make(**rates: str) -> FlaskClient:
        services.settings = msgspec.structs.replace(services.settings, **rates)
        return create_app(services).test_client()

    return make


RATED = [route for route in ROUTES if 429 in route.errors]


def test_everything_that_needs_a_key_has_a_rate_but_decisions() -> None:
    free = {route.path for route in ROUTES if route.role and route not in RATED}

    assert free == {"/v1/decide", "/v1/decide/page"}


@pytest.mark.parametrize("route", RATED, ids=called)
def test_a_key_that_has_used_up_its_rate_is_refused(
    limited_client: Callable[..., FlaskClient], auth: Headers, route: Route
) -> None:
    # given
    client = limited_client(management_rate="3/hour", events_rate="3/hour")
    answers = [ask(client, route, auth["admin"]) for _ in range(4)]

    # then
    assert 429 not in {answer.status_code for answer in answers[:3]}
    error = error_of(answers[3], 429)
    assert error["code"] == "too_many_requests"
    assert error["hint"]
    assert int(answers[3].headers["Retry-After"]) >= 1
    assert 'bandit_errors_total{code="too_many_requests"} 1.0' in client.get("/metrics").text

    # and another key is not
    assert ask(client, route, auth["editor"]).status_code != 429


def test_a_call_of_two_lookups_counts_once(
    limited_client: Callable[..., FlaskClient], auth: Headers
) -> None:
    client = limited_client(management_rate="2/hour")
    path = "/v1/reports/placements/film"

    statuses = [client.get(path, headers=auth["editor"]).status_code for _ in range(3)]

    assert statuses[2] == 429
    assert 429 not in statuses[:2]


def test_every_event_counts(limited_client: Callable[..., FlaskClient], auth: Headers) -> None:
    api = Api(limited_client(events_rate="10/hour"), auth)
    decision = body_of(api.decide())["decision"]
    event = {"decision": decision, "type": "click"}

    assert body_of(api.events(*[event] * 8), 202)["accepted"] == 8
    assert error_of(api.events(*[event] * 3), 429)
    assert body_of(api.events(*[event] * 2), 202)["accepted"] == 2
    assert "more than 10" in error_of(api.events(*[event] * 11), 429)["hint"]


def test_decisions_are_never_refused_for_their_number(
    limited_client: Callable[..., FlaskClient], auth: Headers
) -> None:
    api = Api(limited_client(events_rate="1/hour", management_rate="1/hour"), auth)
    for _ in range(3):
        api.events({})

    assert [api.decide().status_code for _ in range(20)] == [200] * 20


def test_who_has_no_valid_key_uses_up_nobodys_rate(
    limited_client: Callable[..., FlaskClient], auth: Headers
) -> None:
    client = limited_client(management_rate="2/hour")
    stranger = {"Authorization": "Bearer bk_main_" + "x" * 43}

    assert [client.get("/v1/placements", headers=stranger).status_code for _ in range(9)] == (
        [401] * 9
    )
    assert client.get("/v1/placements", headers=auth["editor"]).status_code == 200


def test_the_default_rates_can_be_used() -> None:
    defaults = ServiceSettings()

    for rate in (defaults.management_rate, defaults.events_rate):
        Limiter(rate, Allowances(allowances_at("")._storage), name="x", workers=2).charge("k")
