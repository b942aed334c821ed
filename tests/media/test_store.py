"""Pictures are kept once, whole, under the name of what they hold; wherever they are kept."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from bandit_service.errors import InvalidPicture, MediaError, PayloadTooLarge, SettingsError
from bandit_service.media.blobs import Blobs, FolderBlobs
from bandit_service.media.objects import ObjectBlobs
from bandit_service.media.store import MAX_BYTES, NAME, MediaStore, media_store, small_of
from tests.media.pictures import drawing, photo, saved, shown

PHOTO = saved(photo(), "JPEG")


@pytest.fixture(params=["a folder", "object storage"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if request.param == "a folder":
        yield FolderBlobs(tmp_path / "deep" / "media")
    else:
        yield ObjectBlobs("memory://bucket/pictures")
        fsspec.filesystem("memory").store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "media")


def uses(blobs: Blobs) -> tuple[Callable[[], object], ...]:
    """All that can be asked of blobs."""
    return (lambda: blobs.put("a.jpg", b"x"), lambda: blobs.get("a.jpg"))


def files(blobs: FolderBlobs) -> list[str]:
    return sorted(path.name for path in blobs.path.iterdir())


def test_what_is_kept_is_found_under_its_name(blobs: Blobs) -> None:
    assert blobs.get("a.jpg") is None

    blobs.put("a.jpg", b"one")
    blobs.put("b.jpg", b"two")
    blobs.put("a.jpg", b"one")

    assert (blobs.get("a.jpg"), blobs.get("b.jpg")) == (b"one", b"two")


def test_a_picture_and_its_small_copy_are_found_by_their_names(blobs: Blobs) -> None:
    # given
    store = MediaStore(blobs)

    # when
    stored = store.add(PHOTO)

    # then
    assert NAME.fullmatch(stored.name)
    assert NAME.fullmatch(stored.small)
    assert small_of(stored.name) == stored.small
    assert (stored.width, stored.height, stored.type) == (320, 200, "image/jpeg")
    found, small = store.get(stored.name), store.get(stored.small)
    assert found is not None
    assert small is not None
    assert (found.type, len(found.data)) == (stored.type, stored.bytes)
    assert shown(found.data).size == shown(small.data).size == (320, 200)


def test_the_same_picture_is_kept_once_and_another_under_another_name(blobs: Blobs) -> None:
    store = MediaStore(blobs)

    first = store.add(PHOTO)

    assert store.add(PHOTO + b"something behind it") == first
    other = store.add(saved(drawing(), "PNG"))
    assert other.name != first.name
    assert other.name.endswith(".png")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a.jpg",
        "../../etc/passwd",
        "0" * 40,
        "0" * 40 + ".svg",
        "0" * 40 + ".jpg/..",
        "/" + "0" * 40 + ".jpg",
        "0" * 40 + "-large.jpg",
        "0" * 39 + "G.jpg",
        "0" * 40 + ".jpg\n",
    ],
)
def test_a_name_that_is_not_ours_is_not_looked_for(blobs: Blobs, name: str) -> None:
    asked: list[str] = []

    class Watched:
        def put(self, name: str, data: bytes) -> None:
            raise NotImplementedError

        def get(self, name: str) -> bytes | None:
            asked.append(name)
            return None

    assert MediaStore(Watched()).get(name) is None
    assert asked == []
    assert MediaStore(blobs).get("0" * 40 + ".jpg") is None


def test_what_is_refused_leaves_nothing(folder: FolderBlobs) -> None:
    store = MediaStore(folder)

    with pytest.raises(InvalidPicture):
        store.add(b"<svg/>")
    with pytest.raises(PayloadTooLarge) as caught:
        store.add(PHOTO + bytes(MAX_BYTES))

    assert caught.value.field == "picture"
    assert not folder.path.exists()


# -- the folder


def test_a_picture_is_there_whole_or_not_at_all(
    folder: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a disk that fails when all is written but not yet in place
    def fails(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(MediaError, match="No space left") as caught:
            folder.put("a.jpg", b"one")

    # then
    assert caught.value.hint
    assert files(folder) == []
    assert folder.get("a.jpg") is None
    folder.put("a.jpg", b"one")
    assert files(folder) == ["a.jpg"]


def test_the_small_copy_is_there_before_the_picture_is(
    folder: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a disk that takes one file and no more
    taken: list[str] = []
    real = FolderBlobs.put

    def once(self: FolderBlobs, name: str, data: bytes) -> None:
        if taken:
            raise MediaError("full")
        taken.append(name)
        real(self, name, data)

    monkeypatch.setattr(FolderBlobs, "put", once)
    with pytest.raises(MediaError):
        MediaStore(folder).add(PHOTO)

    assert [name for name in files(folder) if "-small" not in name] == []
    assert len(files(folder)) == 1


def test_many_writing_the_same_leave_one_file(folder: FolderBlobs) -> None:
    failed: list[Exception] = []

    def write() -> None:
        try:
            for n in range(40):
                folder.put(f"{n % 4}.jpg", bytes([n % 4]) * 5000)
        except MediaError as exc:
            failed.append(exc)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert failed == []
    assert files(folder) == [f"{n}.jpg" for n in range(4)]
    assert [folder.get(f"{n}.jpg") for n in range(4)] == [bytes([n]) * 5000 for n in range(4)]


def test_files_are_this_users_alone(folder: FolderBlobs) -> None:
    folder.put("a.jpg", b"one")

    assert (folder.path / "a.jpg").stat().st_mode & 0o077 == 0
    assert folder.path.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    # given a file where the folder should be
    (tmp_path / "media").write_bytes(b"")
    blobs = FolderBlobs(tmp_path / "media")

    for use in uses(blobs):
        with pytest.raises(MediaError) as caught:
            use()
        assert str(tmp_path) in caught.value.message
        assert caught.value.hint


# -- object storage


def test_object_storage_that_fails_says_so_without_its_query(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs = ObjectBlobs("memory://bucket/pictures")

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no route to host")

    monkeypatch.setattr(type(blobs._files), "pipe_file", fails)
    monkeypatch.setattr(type(blobs._files), "cat_file", fails)
    for use in uses(blobs):
        with pytest.raises(MediaError, match="no route to host"):
            use()


@pytest.mark.parametrize("url", ["nonsense://bucket", "s3://bucket"])
def test_an_address_that_nothing_installed_speaks_to_is_refused_by_the_name_of_its_setting(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)

    with pytest.raises(SettingsError) as caught:
        media_store(url, tmp_path)

    assert caught.value.field == "media_url"
    assert caught.value.hint


def test_the_setting_names_a_folder_or_an_address_and_left_out_the_data_folder(
    tmp_path: Path,
) -> None:
    for url, place in (("", tmp_path / "default"), (str(tmp_path / "named"), tmp_path / "named")):
        stored = media_store(url, tmp_path / "default").add(PHOTO)
        assert (place / stored.name).exists()

    stored = media_store("memory://elsewhere", tmp_path / "default").add(PHOTO)
    assert fsspec.filesystem("memory").exists(f"/elsewhere/{stored.name}")
    fsspec.filesystem("memory").store.clear()
