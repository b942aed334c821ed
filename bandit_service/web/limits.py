"""How much one key may ask for: management calls, and events, at the rates of the settings.

The counters of all workers stand in Redis, but a call does not wait for them: a worker takes an
allowance for many calls at once and spends it by itself. Of a rate of L a window and W workers it
takes L / (50 W), at least 1; what it has not spent after a window lapses. So all workers together
let through between 98 % and 102 % of L in a window, and within W of L where L is below 50 W; one
call in hundreds makes an exchange with Redis. A key that has used up its rate is refused from
memory, without asking again, for a second at most.

Where Redis does not answer in a tenth of a second, or is not the one of before, calls are let
through, and it is not asked again for AWAY_SECONDS: a limit protects the service, and must not be
what takes it down.
Decisions are never limited: see ``serving.pressure``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Final, NoReturn

import limits
import structlog

from bandit_service.errors import StorageError, TooManyRequests
from bandit_service.opening import store_identity
from bandit_service.settings import ServiceSettings
from bandit_service.storage.allowances import Allowances, allowances_at

log = structlog.get_logger(__name__)

PARTS: Final = 50
"""Into how many parts, times the workers, a rate is split."""
AWAY_SECONDS: Final = 5.0
"""How long counters that did not answer are left alone."""
SURE_SECONDS: Final = 1.0
"""How long a refusal is repeated without asking again, at most."""
MAX_KEYS: Final = 10_000
"""Keys of whom one process remembers what they may still do."""


class _Account:
    """What one key may still do in this process. Times are of ``monotonic``, in seconds."""

    __slots__ = ("closed_until", "left", "open_at", "refused", "until")

    def __init__(self) -> None:
        self.left = 0
        self.until = 0.0
        """When what is left lapses."""
        self.refused = 0
        """The cost of the call that was refused last."""
        self.closed_until = 0.0
        """Until when calls of that cost are refused without asking."""
        self.open_at = 0.0
        """When such a call is expected to be let through."""


class Limiter:
    """One rate, for every key alike. For one thread at a time."""

    def __init__(
        self,
        rate: str,
        allowances: Allowances,
        *,
        name: str,
        workers: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``rate`` is a setting called ``name``; empty, nothing is limited."""
        self._rate = limits.parse(rate) if rate else None
        self._shown = rate
        self._name = name
        self._allowances = allowances
        self._clock = clock
        self._part = max(1, self._rate.amount // (PARTS * workers)) if self._rate else 0
        self._accounts: dict[str, _Account] = {}
        self._away_until = 0.0

    def charge(self, key: str, cost: int = 1) -> None:
        """Let a call of the key with this id pass, or not.

        Raises:
            TooManyRequests: if it has used up its rate.
        """
        if self._rate is None:
            return
        now = self._clock()
        account = self._accounts.get(key) or self._open(key)
        if now >= account.until:
            account.left = 0
        if account.left < cost:
            self._draw(self._rate, account, key, cost, now)
        account.left = max(0, account.left - cost)

    def _draw(
        self, rate: limits.RateLimitItem, account: _Account, key: str, cost: int, now: float
    ) -> None:
        """Fill an account from the counters, by a part of the rate where there is one."""
        if now < account.closed_until and cost >= account.refused:
            self._refuse(rate, account, cost, now)
        if now < self._away_until:
            return
        name, missing = f"{self._name}:{key}", cost - account.left
        try:
            for amount in dict.fromkeys((max(missing, self._part), missing)):
                if self._allowances.take(rate, name, amount):
                    account.left += amount
                    account.until = now + rate.get_expiry()
                    return
            wait = self._allowances.wait_seconds(rate, name, missing)
        except StorageError as exc:
            self._away_until = now + AWAY_SECONDS
            log.warning("rates_not_counted", rate=self._name, error=exc.message)
            return
        account.refused, account.open_at = cost, now + wait
        account.closed_until = now + min(wait, SURE_SECONDS)
        self._refuse(rate, account, cost, now)

    def _refuse(
        self, rate: limits.RateLimitItem, account: _Account, cost: int, now: float
    ) -> NoReturn:
        seconds = max(1, math.ceil(account.open_at - now))
        if cost > rate.amount:
            hint = f"a call may not hold more than {rate.amount}: send several"
        else:
            hint = f"come again in {seconds} s; an operator can raise {self._name}"
        raise TooManyRequests(
            f"this key has used up its rate of {self._shown}", retry_after=seconds, hint=hint
        )

    def _open(self, key: str) -> _Account:
        if len(self._accounts) >= MAX_KEYS:
            self._accounts.clear()
        return self._accounts.setdefault(key, _Account())


class Limits:
    """The limiters of one process."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Count in the Redis of the settings, or, where they name none, in this process."""
        url = settings.redis_url
        self._allowances = allowances_at(url, store_identity(settings, url))
        self._workers = settings.worker_count
        self.management = self.of(settings.management_rate, "management_rate")
        self.media = self.of(settings.media_rate, "media_rate")
        self.events = self.of(settings.events_rate, "events_rate")

    def of(self, rate: str, name: str) -> Limiter:
        """A limiter of another rate, counted with the others under its name."""
        return Limiter(rate, self._allowances, name=name, workers=self._workers)
