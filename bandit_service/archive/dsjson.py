"""Decisions with their outcomes as Vowpal Wabbit's decision-service JSON, for ``vw --dsjson``.

One line is one unit that closed with an outcome that teaches: what the service's own model learns
from, no more and no less.

- *Cost* is minus the reward. The service itself learns rewards scaled by ``typical_reward``.
- *Probability* is the logged propensity of the draw, the holdout included. A held-out decision was
  drawn by the same mixture, so it is exported like any other, and marked.
- *Features* are the service's own text lines. Each namespace holds them under ``_text``, which VW
  splits at spaces and hashes as it does the text format. Rejected: a JSON member a feature, since
  VW takes names that begin with ``_`` for its own, and JSON forbids a feature said twice. All that
  comes from outside is percent-encoded in those lines, so nothing in it is syntax to JSON or VW.
  The words of a headline are weighed, which ``_text`` cannot say. They are members: none begins
  with ``_``, and none comes twice.
- *Actions* stand in the order of the log; ``a`` and ``p`` list the chosen one first, as VW's tools
  expect, and count actions from 1.

A repeated view has no line of its own: its unit's line says how many ``views`` it had. A switched
view (another arm within one slot), a censored unit and an open one have none; see ``JoinCounts``.
``bandit`` holds what VW has no name for, and VW passes over it. No pseudonym is exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bandit_service.archive.times import readable
from bandit_service.outcomes.join import Outcome

_encoder: Final = msgspec.json.Encoder()


def line_of(outcome: Outcome, lines: Sequence[str]) -> bytes:
    """One line; ``lines`` are the shared line and one a candidate, of ``policy.features``."""
    decision = outcome.decision
    order = [decision.chosen, *(n for n in range(len(decision.arms)) if n != decision.chosen)]
    example = {
        "_label_cost": 0.0 - outcome.reward,  # not -reward, which is -0.0 for 0
        "_label_probability": decision.propensity,
        "_label_Action": decision.chosen + 1,
        "_labelIndex": decision.chosen,
        "Version": "1",
        "Timestamp": readable(decision.at),
        "EventId": decision.id,
        "a": [n + 1 for n in order],
        "p": [decision.probabilities[n] for n in order],
        "c": {**_namespaces(lines[0]), "_multi": [_namespaces(line) for line in lines[1:]]},
        "VWState": {"m": decision.snapshot},
        "bandit": {
            "placement": decision.placement,
            "arms": decision.arms,
            "outcome": outcome.kind,
            "views": outcome.views,
            "reason": decision.reason,
            "holdout": decision.holdout,
        },
    }
    return _encoder.encode(example) + b"\n"


def _namespaces(line: str) -> dict[str, Any]:
    """The namespaces of a text line: ``|p a b |w:0.5 c`` has two."""
    parts = (part.split(" ", 1) for part in line.split("|")[1:])
    return dict(_namespace(name, features.strip()) for name, features in parts)


def _namespace(name: str, features: str) -> tuple[str, dict[str, Any]]:
    name, weighed, weight = name.partition(":")
    if not weighed:
        return name, {"_text": features}
    return name, dict.fromkeys(features.split(" "), float(weight))
