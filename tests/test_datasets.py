from __future__ import annotations

import errno
import hashlib
import importlib.util
import io
import math
import os
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import platformdirs
import pytest

from bandit_service.datasets import (
    OBD_RELEASE,
    Behaviour,
    Campaign,
    ObdRelease,
    fetch_obd,
    load_obd,
    pip_download,
)
from bandit_service.errors import DatasetError

ITEMS = b""",item_id,item_feature_0,item_feature_1
0,0,-0.5,aaa
1,1,0.25,bbb
"""
LOG = b""",timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0
0,2019-11-24 00:03:13.442536+00:00,1,3,0,0.5,young,0.0
1,2019-11-24 00:03:14+00:00,0,1,1,0.5,old,2.0
"""
FILES = {"random/men/item_context.csv": ITEMS, "random/men/men.csv": LOG}
TOP = "fake_obd-1.0"

# A build backend inside the source distribution: pip needs no other package to read its metadata.
PYPROJECT = b"""[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = b"""from pathlib import Path
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = Path(folder) / "fake_obd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: fake_obd\\nVersion: 1.0\\n")
    return info.name
def build_wheel(*args, **kwargs):
    raise NotImplementedError
"""
PKG_INFO = b"Metadata-Version: 2.1\nName: fake_obd\nVersion: 1.0\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pack(path: Path, files: dict[str, bytes]) -> ObdRelease:
    """A source distribution at ``path``, and the release that pins it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return ObdRelease(
        package="fake_obd",
        version="1.0",
        sha256=sha256(path.read_bytes()),
        folder="data",
        files={name: sha256(data) for name, data in FILES.items()},
    )


def members(files: dict[str, bytes] = FILES) -> dict[str, bytes]:
    return {f"{TOP}/data/{name}": data for name, data in files.items()}


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return tmp_path / "shelf" / f"{TOP}.tar.gz"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "obd"


def copy_of(sdist: Path) -> Callable[[ObdRelease, Path], None]:
    def copy(release: ObdRelease, folder: Path) -> None:
        (folder / release.archive).write_bytes(sdist.read_bytes())

    return copy


def never(release: ObdRelease, folder: Path) -> None:
    pytest.fail("downloaded although the cache is intact")


def silent(step: str) -> None:
    pass


def files_below(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


# ------------------------------------------------------------------------------------ unpacking


def test_fetching_unpacks_the_pinned_files_and_nothing_else(sdist: Path, cache: Path) -> None:
    # given
    release = pack(sdist, {**members(), f"{TOP}/setup.py": b"raise SystemExit"})
    steps: list[str] = []

    # when
    folder = fetch_obd(cache, progress=steps.append, release=release, download=copy_of(sdist))

    # then
    assert folder == cache
    assert files_below(cache) == set(FILES)
    assert (cache / "random/men/men.csv").read_bytes() == LOG
    assert [step.split()[0] for step in steps] == ["downloading", "verifying"]


def test_fetching_twice_downloads_once(sdist: Path, cache: Path) -> None:
    # given
    release = pack(sdist, members())
    fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))
    steps: list[str] = []

    # when
    fetch_obd(cache, progress=steps.append, release=release, download=never)

    # then
    assert len(steps) == 1
    assert "intact" in steps[0]


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_fetching_replaces_a_damaged_file_and_leaves_the_others(
    sdist: Path, cache: Path, damage: str
) -> None:
    # given
    release = pack(sdist, members())
    fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))
    intact, damaged = cache / "random/men/men.csv", cache / "random/men/item_context.csv"
    before = intact.stat().st_ino
    damaged.unlink()
    if damage == "altered":
        damaged.write_bytes(ITEMS + b"2,2,0.0,ccc\n")

    # when
    fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))

    # then
    assert damaged.read_bytes() == ITEMS
    assert intact.stat().st_ino == before


def test_no_name_in_the_archive_can_write_outside_the_cache(
    tmp_path: Path, sdist: Path, cache: Path
) -> None:
    # given
    hostile = {f"{TOP}/data/../../../../escaped": b"x", f"{tmp_path}/absolute": b"x"}
    release = pack(sdist, {**hostile, **members()})

    # when
    fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))

    # then
    assert files_below(tmp_path) == {f"shelf/{TOP}.tar.gz", *(f"cache/obd/{f}" for f in FILES)}


def test_a_link_in_place_of_a_file_is_not_followed(
    tmp_path: Path, sdist: Path, cache: Path
) -> None:
    # given
    (tmp_path / "secret").write_bytes(LOG)
    release = pack(sdist, {})
    with tarfile.open(sdist, "w:gz") as tar:
        for name in members():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
            tar.addfile(link)
    release = msgspec.structs.replace(release, sha256=sha256(sdist.read_bytes()))

    # when
    with pytest.raises(DatasetError, match="lacks random/men"):
        fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))

    # then
    assert files_below(cache) == set()


def test_an_archive_with_another_checksum_is_never_opened(sdist: Path, cache: Path) -> None:
    # given
    release = msgspec.structs.replace(pack(sdist, members()), sha256="0" * 64)

    # when
    with pytest.raises(DatasetError, match="pinned SHA-256") as caught:
        fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))

    # then
    assert caught.value.hint is not None
    assert files_below(cache) == set()


def test_a_file_with_another_checksum_stays_out_of_the_cache(sdist: Path, cache: Path) -> None:
    # given
    release = pack(sdist, members({**FILES, "random/men/men.csv": LOG + LOG}))

    # when
    with pytest.raises(DatasetError, match=r"random/men/men\.csv"):
        fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))

    # then
    assert not (cache / "random/men/men.csv").exists()


def test_an_archive_cut_short_is_reported_as_unreadable(sdist: Path, cache: Path) -> None:
    # given
    release = pack(sdist, members())
    sdist.write_bytes(sdist.read_bytes()[:-40])
    release = msgspec.structs.replace(release, sha256=sha256(sdist.read_bytes()))

    # when, then
    with pytest.raises(DatasetError, match="not a readable archive"):
        fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))


# ------------------------------------------------------------------------------- what may go wrong


def test_a_full_disk_is_named_as_such(sdist: Path, cache: Path) -> None:
    # given
    def full(release: ObdRelease, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # when
    with pytest.raises(DatasetError, match="is full") as caught:
        fetch_obd(cache, progress=silent, release=pack(sdist, members()), download=full)

    # then
    assert "free" in (caught.value.hint or "")
    assert list(cache.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path: Path, sdist: Path) -> None:
    # given
    (tmp_path / "file").write_bytes(b"not a folder")
    cache = tmp_path / "file" / "obd"

    # when
    with pytest.raises(DatasetError, match="cannot be used") as caught:
        fetch_obd(cache, progress=silent, release=pack(sdist, members()), download=never)

    # then
    assert str(cache) in caught.value.message
    assert "another folder" in (caught.value.hint or "")


def test_without_pip_the_hint_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    # when
    with pytest.raises(DatasetError, match="no pip") as caught:
        pip_download(OBD_RELEASE, tmp_path)

    # then
    assert "ensurepip" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM ...", "pinned SHA-256"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk filled up"),
        ("WARNING: x\nERROR: first\nERROR: No matching distribution", "No matching distribution"),
        ("Traceback: something else", "gave no reason"),
    ],
)
def test_each_failure_of_pip_is_told_with_a_hint(tmp_path: Path, stderr: str, message: str) -> None:
    # given
    def failing(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", stderr)

    # when
    with pytest.raises(DatasetError, match=message) as caught:
        pip_download(OBD_RELEASE, tmp_path, run=failing)

    # then
    assert caught.value.hint


def test_a_pip_that_hangs_is_given_up(tmp_path: Path) -> None:
    # given
    def hanging(command: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    # when, then
    with pytest.raises(DatasetError, match="did not finish within 600 s"):
        pip_download(OBD_RELEASE, tmp_path, run=hanging)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------ pip itself, offline


@pytest.fixture
def shelf(sdist: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks for packages."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(sdist.parent))
    return sdist


def real_sdist(path: Path) -> ObdRelease:
    project = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "PKG-INFO": PKG_INFO}
    return pack(path, {**{f"{TOP}/{k}": v for k, v in project.items()}, **members()})


def test_pip_as_the_user_configured_it_fetches_the_archive(shelf: Path, cache: Path) -> None:
    # given
    release = real_sdist(shelf)

    # when
    fetch_obd(cache, progress=silent, release=release)

    # then
    assert files_below(cache) == set(FILES)


def test_pip_runs_nothing_of_an_archive_with_another_checksum(shelf: Path, cache: Path) -> None:
    # given
    project = {"pyproject.toml": PYPROJECT, "PKG-INFO": PKG_INFO}
    mark = shelf.parent / "ran"
    backend = {"backend.py": f"open({str(mark)!r}, 'w').close()".encode()}
    release = pack(shelf, {f"{TOP}/{k}": v for k, v in {**project, **backend}.items()})
    release = msgspec.structs.replace(release, sha256="0" * 64)

    # when
    with pytest.raises(DatasetError, match="pinned SHA-256"):
        fetch_obd(cache, progress=silent, release=release)

    # then
    assert not mark.exists()


def test_a_package_that_pip_cannot_find_is_told_with_pips_reason(shelf: Path, cache: Path) -> None:
    # given
    release = real_sdist(shelf)
    shelf.unlink()

    # when
    with pytest.raises(DatasetError, match="No matching distribution") as caught:
        fetch_obd(cache, progress=silent, release=release)

    # then
    assert "network" in (caught.value.hint or "")


# -------------------------------------------------------------------------------------- reading


def fetched(sdist: Path, cache: Path) -> ObdRelease:
    release = pack(sdist, members())
    fetch_obd(cache, progress=silent, release=release, download=copy_of(sdist))
    return release


def test_a_log_is_read_in_its_own_order_with_every_field(sdist: Path, cache: Path) -> None:
    # given
    release = fetched(sdist, cache)

    # when
    log = load_obd("men", "random", cache, release=release)

    # then
    assert (log.campaign, log.behaviour, log.clicks) == ("men", "random", 1)
    first, second = log.impressions
    assert first.at == datetime(2019, 11, 24, 0, 3, 13, 442536, UTC)
    assert (first.item, first.position, first.clicked, first.propensity) == (1, 3, False, 0.5)
    assert (second.item, second.position, second.clicked) == (0, 1, True)
    assert second.traits == {"user_feature_0": "old"}
    assert [item.id for item in log.items] == [0, 1]
    assert log.items[0].numbers == {"item_feature_0": -0.5}
    assert log.items[1].categories == {"item_feature_1": "bbb"}


def test_reading_before_fetching_says_how_to_fetch(cache: Path) -> None:
    with pytest.raises(DatasetError, match="is not in") as caught:
        load_obd("men", "random", cache)
    assert "bandit-service data obd" in (caught.value.hint or "")


def test_a_file_that_someone_edited_is_not_read(sdist: Path, cache: Path) -> None:
    # given
    release = fetched(sdist, cache)
    path = cache / "random/men/men.csv"
    path.write_bytes(LOG.replace(b",0,0.5", b",1,0.5"))

    # when, then
    with pytest.raises(DatasetError, match="is damaged"):
        load_obd("men", "random", cache, release=release)


def test_a_log_of_another_shape_is_refused(sdist: Path, cache: Path) -> None:
    # given
    release = fetched(sdist, cache)
    strange = LOG.replace(b"propensity_score", b"pscore")
    (cache / "random/men/men.csv").write_bytes(strange)
    files = {**release.files, "random/men/men.csv": sha256(strange)}

    # when, then
    with pytest.raises(DatasetError, match="propensity_score"):
        load_obd("men", "random", cache, release=msgspec.structs.replace(release, files=files))


@pytest.mark.parametrize(("campaign", "behaviour"), [("kids", "random"), ("men", "greedy")])
def test_an_unknown_log_is_refused_by_name(campaign: str, behaviour: str, cache: Path) -> None:
    with pytest.raises(DatasetError, match=f"{campaign}.*{behaviour}"):
        load_obd(campaign, behaviour, cache)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------- the real data


LOGS: tuple[tuple[Campaign, Behaviour, int, int], ...] = (
    ("all", "random", 80, 38),
    ("all", "bts", 80, 42),
    ("men", "random", 34, 46),
    ("men", "bts", 34, 69),
    ("women", "random", 46, 46),
    ("women", "bts", 46, 46),
)


@pytest.mark.slow
@pytest.mark.parametrize(("campaign", "behaviour", "items", "clicks"), LOGS)
def test_the_real_logs_hold_the_known_items_rows_and_clicks(
    real_cache: Path | None, campaign: Campaign, behaviour: Behaviour, items: int, clicks: int
) -> None:
    # when
    log = load_obd(campaign, behaviour, real_cache)

    # then
    assert (len(log.items), len(log.impressions), log.clicks) == (items, 10_000, clicks)
    assert {row.item for row in log.impressions} == {item.id for item in log.items}
    assert {row.position for row in log.impressions} == {1, 2, 3}
    assert all(0 < row.propensity <= 1 for row in log.impressions)
    times = [row.at for row in log.impressions]
    assert times == sorted(times)
    uniform = all(math.isclose(row.propensity, 1 / items) for row in log.impressions)
    assert uniform == (behaviour == "random")


def test_every_file_of_the_release_is_pinned_once() -> None:
    expected = {
        f"{behaviour}/{campaign}/{name}.csv"
        for behaviour in ("random", "bts")
        for campaign in ("all", "men", "women")
        for name in (campaign, "item_context")
    }
    assert set(OBD_RELEASE.files) == expected
    assert all(len(digest) == 64 for digest in (OBD_RELEASE.sha256, *OBD_RELEASE.files.values()))


def test_the_default_cache_is_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda app: tmp_path / app)

    # when, then
    with pytest.raises(DatasetError, match=str(tmp_path / "bandit-service" / "obd")):
        load_obd("men", "random")
