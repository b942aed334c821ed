"""Choices from probabilities, with the random numbers that a batch brings."""

from __future__ import annotations

import numpy as np

from simulations.bandits.base import Batch, Floats, Whole


def drawn(probabilities: Floats, draw: Floats) -> Whole:
    """The place of one arm a row, by the inverse of the distribution function.

    Args:
        probabilities: n x K, at least 0; each row has a sum near 1, as libraries round it.
        draw: n numbers in (0, 1).

    Returns:
        n places; never one whose probability is 0.
    """
    edges = np.cumsum(probabilities, axis=1)
    total = edges[:, -1]
    at = np.minimum(draw * total, np.nextafter(total, 0.0))
    places: Whole = (edges <= at[:, None]).sum(axis=1)
    return places


def uniform(batch: Batch) -> Whole:
    """N places, each of K as likely."""
    return (batch.draw * len(batch.spot.arms)).astype(np.int64)
