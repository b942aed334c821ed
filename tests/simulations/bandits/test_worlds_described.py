"""A world from a file: what is written comes true, and what is wrong is named."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits.base import NEVER, World
from simulations.bandits.worlds.described import ENTRY, Described, read
from simulations.bandits.worlds.entry import Setup
from simulations.bandits.worlds.traffic import DAY_MS, START_MS

EXAMPLE = Path(__file__).parents[3] / "config" / "worlds" / "example.toml"


@pytest.fixture
def tree() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))


def as_file(folder: Path, tree: Any) -> Path:
    path = folder / "mine.json"
    path.write_bytes(msgspec.json.encode(tree))
    return path


def made(path: Path, *, quick: bool = False) -> World:
    return ENTRY.make(f"file:{path}", str(path).split(":"), Setup(1, quick=quick))


def test_the_example_shows_every_key(tree: dict[str, Any]) -> None:
    description = read(EXAMPLE)
    variants = [one for placement in tree["placements"] for one in placement["variants"]]
    for tables, record in (
        ([tree], description),
        (tree["personas"], description.personas[0]),
        (tree["placements"], description.placements[0]),
        (variants, description.placements[0].variants[0]),
    ):
        shown = {key for table in tables for key in table}
        assert shown == set(record.__struct_fields__)


def test_visitors_do_as_the_file_says() -> None:
    # given
    world = made(EXAMPLE)
    assert world.personas == ("regular", "bargain")
    assert world.words == "a small shop, guessed"
    assert world.window_ms == 600_000
    shown = {"home-hero": 0, "newsletter": 0}
    personas, delays = [], []
    for batch in world.batches():
        shown[batch.spot.id] += len(batch.at)
        personas.append(batch.persona)
        delays.append(batch.delay)
        if batch.spot.id == "newsletter":
            assert batch.truth.tolist() == [[0.008, 0.011]] * len(batch.at)
            continue
        # then the third variant is live from day 5 until day 12
        days = (batch.at - START_MS) // DAY_MS
        late = 5 <= days[0] < 12
        assert np.all((days >= 5) & (days < 12)) if late else not np.any((days >= 5) & (days < 12))
        rates = np.array([[0.021, 0.026, 0.023], [0.044, 0.019, 0.023]])[:, : 2 + late]
        assert np.array_equal(batch.truth, rates[batch.persona])
    # and the rest within 5 standard errors or so
    total = sum(shown.values())
    assert total == pytest.approx(200_000, abs=5 * np.sqrt(200_000))
    assert shown["home-hero"] / total == pytest.approx(5 / 6, abs=0.005)
    assert np.mean(np.concatenate(personas)) == pytest.approx(1 / 4, abs=0.005)
    assert np.mean(np.concatenate(delays) == NEVER) == pytest.approx(0.02, abs=0.002)
    assert np.median(np.concatenate(delays)) == pytest.approx(30_000, rel=0.1)


def test_json_with_the_same_keys_is_the_same_world(tmp_path: Path, tree: dict[str, Any]) -> None:
    assert read(as_file(tmp_path, tree)) == read(EXAMPLE)


def test_a_quick_run_is_shorter_and_never_longer(tmp_path: Path, tree: dict[str, Any]) -> None:
    quick = sum(len(batch.at) for batch in made(EXAMPLE, quick=True).batches())
    assert quick == pytest.approx(12_000, rel=0.05)
    tree["impressions"] = 500
    short = sum(len(batch.at) for batch in made(as_file(tmp_path, tree), quick=True).batches())
    assert short == pytest.approx(500, rel=0.3)


def test_a_placement_rests_while_none_of_its_variants_is_live(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    # given
    for variant in tree["placements"][1]["variants"]:
        variant["from_day"] = 3
    world = made(as_file(tmp_path, tree))
    # then
    days = (
        np.concatenate([b.at - START_MS for b in world.batches() if b.spot.id == "newsletter"])
        // DAY_MS
    )
    assert set(days.tolist()) == set(range(3, 14))


def test_without_personas_everyone_is_alike(tmp_path: Path) -> None:
    # given the least that a file can say
    variants = [{"id": "a", "rate": 0.1}, {"id": "b", "rate": 0.2}]
    tree = {"impressions": 100, "days": 1, "placements": [{"id": "p", "variants": variants}]}
    # when
    world = made(as_file(tmp_path, tree))
    # then
    assert isinstance(world, Described)
    assert world.personas == ("everyone",)
    assert {tuple(row) for batch in world.batches() for row in batch.truth} == {(0.1, 0.2)}


WRONG: list[tuple[list[str | int], Any, str]] = [
    (["impression"], 5, "impression"),
    (["impressions"], 0, "impressions"),
    (["impressions"], 1e9, "impressions"),
    (["impressions"], "many", "impressions"),
    (["days"], 0, "days"),
    (["days"], 1_000, "days"),
    (["window_minutes"], 0, "window_minutes"),
    (["delay_minutes"], -1, "delay_minutes"),
    (["lost"], 1.5, "lost"),
    (["personas"], [], "personas"),
    (["personas", 0, "share"], 0, "personas[0].share"),
    (["personas", 1, "id"], "regular", "personas[1].id"),
    (["personas", 1, "id"], "", "personas[1].id"),
    (["placements"], [], "placements"),
    (["placements", 1, "id"], "home-hero", "placements[1].id"),
    (["placements", 1, "id"], "a b", "placements[1].id"),
    (["placements", 1, "traffic"], -1, "placements[1].traffic"),
    (["placements", 1, "trafic"], 1, "trafic"),
    (["placements", 1, "variants"], [], "placements[1].variants"),
    (["placements", 1, "variants", 1, "id"], "question", "placements[1].variants[1].id"),
    (["placements", 1, "variants", 1, "rate"], 1.1, "placements[1].variants[1].rate"),
    (["placements", 1, "variants", 1, "rate"], None, "placements[1].variants[1].rate"),
    (["placements", 0, "variants", 0, "rates"], {"x": 0.1}, "placements[0].variants[0].rates"),
    (["placements", 0, "variants", 0, "rates"], {"bargain": -1}, "placements[0].variants[0].rates"),
    (["placements", 0, "variants", 2, "until_day"], 5, "placements[0].variants[2].until_day"),
    (["placements", 0, "variants", 2, "from_day"], 0.5, "placements[0].variants[2].from_day"),
    (["placements", 0, "variants", 2, "tags"], ["t"] * 33, "placements[0].variants[2].tags"),
]


@pytest.mark.parametrize(("where", "value", "named"), WRONG)
def test_what_is_wrong_is_named(
    tmp_path: Path, tree: dict[str, Any], where: list[str | int], value: Any, named: str
) -> None:
    # given
    wrong: Any = copy.deepcopy(tree)
    part = wrong
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    # when
    path = as_file(tmp_path, wrong)
    with pytest.raises(InvalidInput) as caught:
        made(path)
    # then
    assert named in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint == "config/worlds/example.toml shows every key"


def test_a_placement_that_is_never_live_is_named(tmp_path: Path, tree: dict[str, Any]) -> None:
    for variant in tree["placements"][1]["variants"]:
        variant["from_day"] = 14
    with pytest.raises(InvalidInput, match=r"placements\[1\]\.variants are live on none"):
        made(as_file(tmp_path, tree))


def test_a_file_in_which_nothing_counts_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    for placement in tree["placements"]:
        placement["reported"] = False
    with pytest.raises(InvalidInput, match="nothing would count"):
        made(as_file(tmp_path, tree))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("traffic = 5.0", "traffic = nan"),
        ("traffic = 5.0", "traffic = inf"),
        ("share = 3 ", "share = inf "),
        ("rate = 0.008", "rate = nan"),
        ("window_minutes = 10.0", "window_minutes = nan"),
        ("delay_minutes = 0.5", "delay_minutes = nan"),
        ("lost = 0.02", "lost = nan"),
    ],
)
def test_numbers_that_are_none_are_named(tmp_path: Path, line: str, named: str) -> None:
    # given
    text = EXAMPLE.read_text(encoding="utf-8")
    assert line in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(line, named), encoding="utf-8")
    # then
    with pytest.raises(InvalidInput, match=named.split(maxsplit=1)[0]):
        made(path)


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("mine.toml", b"= 3"),
        ("mine.toml", b"\xff"),
        ("mine.toml", b"a = " + b"[" * 5_000),
        ("mine.json", b"{"),
        ("mine.json", b"[]"),
        ("mine.json", b"\xff"),
        ("mine.json", b"[" * 50_000),
    ],
)
def test_a_file_that_is_neither_toml_nor_json_is_refused(
    tmp_path: Path, file: str, data: bytes
) -> None:
    path = tmp_path / file
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=file):
        made(path)


@pytest.mark.parametrize("path", ["none.toml", ".", "a\0b"])
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        made(tmp_path / path)


def test_a_path_may_have_colons(tmp_path: Path) -> None:
    path = tmp_path / "mine:too.toml"
    path.write_bytes(EXAMPLE.read_bytes())
    assert made(path).name == f"file:{path}"
