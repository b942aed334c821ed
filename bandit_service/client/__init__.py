"""The client of the service, for websites whose pages are made in Python.

>>> from bandit_service.client import Client, Default, Visitor
>>> client = Client(url, key)              # once a website; asks nothing yet
>>> client.check("film")                   # raises what is wrong: address, key, placement
>>> events = client.queue()                # sends from a thread of its own

For each page:

>>> visitor = Visitor("visitor-1", traits={"genres": ["romance"]}, context={"device": "tv"})
>>> answer = client.decide("film", visitor, default=Default(headline="The film"))
>>> answer.variant.headline
'A kiss'
>>> events.event(answer, "impression")
True

And where the website ends:

>>> events.close()
>>> client.close()

What is promised:

- **The website never waits longer than the deadline**, 0.2 s unless told otherwise, for look-ups,
  connections and tries together, and never gets an exception where it did not ask for one. Instead
  of an answer it gets its own default: ``reason`` is ``default`` and ``logged`` false, and events
  about it are not sent. A service that keeps failing is not asked for a while (``breaker``).
- **Nothing counts twice** that was tried twice: see ``session``.
- **Mistakes are said**: by ``Client.check``, by every call with ``strict``, and in the log named
  ``bandit_service.client``: a wrong key, an unknown placement, a field that cannot be used, with
  the service's own hint. The key is in none of it.
- **Light**: it imports the standard library and msgspec, and none of what the service needs to run.

The types are those of the wire itself (``serving.requests``), which need no more than that.

Pages that are not made in Python use the website tag, or plain HTTP.
"""

from bandit_service.client.client import Client
from bandit_service.client.counts import Counts
from bandit_service.client.default import DEFAULT, Default
from bandit_service.client.event_queue import EventQueue
from bandit_service.client.slot import Slot
from bandit_service.client.visitor import Visitor
from bandit_service.serving.requests import (
    DecideAnswer,
    EventRequest,
    EventsAnswer,
    InlineVariant,
    PageAnswer,
    Rejection,
    VariantAnswer,
)

__all__ = [
    "DEFAULT",
    "Client",
    "Counts",
    "DecideAnswer",
    "Default",
    "EventQueue",
    "EventRequest",
    "EventsAnswer",
    "InlineVariant",
    "PageAnswer",
    "Rejection",
    "Slot",
    "VariantAnswer",
    "Visitor",
]
