"""An invented archive of tests, in the shape of the real one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

K = 30.0
WEEKS = (201410, 201411, 201420, 201430, 201431)
HEADER = (
    "clickability_test_id,created_at,headline,lede,excerpt,eyecatcher_id,"
    "impressions,clicks,test_week"
)


def invented(tests: int = 200, *, seed: int = 3) -> list[list[str]]:
    """Rows of 4 arms a test, 3,000 impressions each, whose rates vary by 1 / sqrt(K)."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(tests):
        week = WEEKS[number % len(WEEKS)]
        base = rng.uniform(0.01, 0.04)
        for arm in range(4):
            clicks = rng.poisson(3_000 * rng.gamma(K, base / K))
            rows.append(
                [
                    f"test-{number}",
                    "2014-03-05 10:00:00.5",
                    f'Headline {arm}, of "test"\n{number}',
                    "<p>a lede</p>",
                    "",
                    f"image-{number}-{arm // 2}" if arm else "",
                    "3000",
                    str(clicks),
                    str(week),
                ]
            )
    return rows


def written(path: Path, rows: list[list[str]], header: str = HEADER) -> Path:
    """The rows as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def tests_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("upworthy") / "tests.csv", invented())
