import msgspec
import pytest

from bandit_service.errors import LogError, SettingsError, SnapshotError
from bandit_service.policy.settings import (
    PolicySettings,
    SiteSettings,
    differences,
    read_settings,
)
from bandit_service.policy.snapshot import (
    Checkpoint,
    SnapshotName,
    dump_checkpoint,
    genesis,
    load_checkpoint,
    load_snapshot,
)


def test_a_snapshot_comes_back_from_its_bytes_under_its_name() -> None:
    snapshot = genesis(SiteSettings())

    assert load_snapshot(snapshot.encoded, name=snapshot.name) == snapshot


def test_the_name_says_position_settings_and_digest() -> None:
    snapshot = genesis(SiteSettings())

    name = SnapshotName.parse(snapshot.name)

    assert (name.position, name.settings) == (snapshot.position, snapshot.settings.id)
    assert str(name) == snapshot.name


def test_the_same_settings_make_the_same_genesis_and_others_another() -> None:
    sharper = SiteSettings(policy=PolicySettings(gamma=9.0))

    assert genesis(SiteSettings()).name == genesis(SiteSettings()).name
    assert genesis(sharper).name != genesis(SiteSettings()).name


def test_a_whole_number_and_its_float_are_the_same_setting() -> None:
    whole = SiteSettings(policy=PolicySettings(gamma=9))

    assert whole.id == SiteSettings(policy=PolicySettings(gamma=9.0)).id
    assert load_snapshot(genesis(whole).encoded, name=genesis(whole).name).settings.id == whole.id


@pytest.mark.parametrize("where", [0, 10, -1])
def test_a_damaged_snapshot_is_refused_by_name(where: int) -> None:
    snapshot = genesis(SiteSettings())
    damaged = bytearray(snapshot.encoded)
    damaged[where] ^= 0x41

    with pytest.raises(SnapshotError):
        load_snapshot(bytes(damaged), name=snapshot.name)


def test_a_snapshot_of_another_format_is_refused_and_says_so() -> None:
    future = msgspec.structs.replace(genesis(SiteSettings()), format=99)

    with pytest.raises(SnapshotError, match=r"damaged|format 99"):
        load_snapshot(msgspec.msgpack.encode(future), name=future.name)


@pytest.mark.parametrize("name", ["", "none", "1-0", "1-0.ab"])
def test_what_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises((SnapshotError, LogError)):
        SnapshotName.parse(name)


def test_a_damaged_checkpoint_is_refused() -> None:
    data = dump_checkpoint(Checkpoint(snapshot=genesis(SiteSettings()), state=[1, 2]))

    assert load_checkpoint(data, list).state == [1, 2]
    with pytest.raises(SnapshotError, match="damaged"):
        load_checkpoint(data[:-1] + b"\x00", list)


def test_settings_are_read_with_defaults_for_what_is_left_out() -> None:
    read = read_settings(b"[policy]\ngamma = 7\n[rewards]\naggregation = 'sum'", name="site.toml")

    assert differences(SiteSettings(), read) == ["rewards.aggregation", "policy.gamma"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[policy]\ngama = 7", "gama"),
        (b"[policy]\ngamma = -7", "policy.gamma"),
        (b"[policy]\nfloor = 1.5", "policy.floor"),
        (b"[policy]\nexploration = 'best'", "best"),
        (b"[policy]\ngamma = nan", "policy.gamma"),
        (b"[rewards]\nwindow_seconds = 0", "window_seconds"),
        (b"[policy", "site.toml"),
        (b"\xff", "site.toml"),
    ],
)
def test_a_setting_that_is_wrong_is_named(text: bytes, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_settings(text, name="site.toml")
