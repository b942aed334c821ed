"""Every setting, from every place it may come from; and what is wrong with one, by its name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bandit_service.errors import SettingsError
from bandit_service.settings import (
    PREFIX,
    ServiceSettings,
    default_config_path,
    read_service_settings,
    table,
    variables,
)

OTHERS: dict[str, tuple[object, str]] = {
    "redis_url": ("redis://elsewhere:6379/1", "redis://elsewhere:6379/1"),
    "data_dir": ("/data", "/data"),
    "fsync": ("always", "always"),
    "spool_megabytes": (7, "7"),
    "site_settings": ("other.toml", "other.toml"),
    "site": ("shop", "shop"),
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": (9090, "9090"),
    "workers": (3, "3"),
    "learn": (False, "false"),
    "seed_catalog": (False, "0"),
    "publish_seconds": (2.5, "2.5"),
    "poll_seconds": (1.0, "1"),
    "archive": (False, "false"),
    "archive_dir": ("/elsewhere/archive", "/elsewhere/archive"),
    "archive_seconds": (60.0, "60"),
    "stream_hours": (0.5, "0.5"),
    "archive_days": (400, "400"),
    "management_rate": ("5 per second", "5 per second"),
    "media_url": ("s3://bucket/pictures", "s3://bucket/pictures"),
    "public_url": ("https://creatives.example", "https://creatives.example"),
    "media_rate": ("5/hour", "5/hour"),
    "events_rate": ("70000/hour", "70000/hour"),
    "log_level": ("debug", "debug"),
}
"""By setting: a value that is not its default, and how the environment says it."""

WRONG = [
    ("media_rate", "often"),
    ("public_url", "creatives.example"),
    ("public_url", "javascript:alert(1)"),
    ("public_url", "https://a.example/?x"),
    ("fsync", "sometimes"),
    ("port", -1),
    ("port", 65536),
    ("port", "eighty"),
    ("workers", -1),
    ("workers", 257),
    ("workers", 1.5),
    ("learn", "perhaps"),
    ("publish_seconds", 0.0),
    ("publish_seconds", 3601),
    ("publish_seconds", "nan"),
    ("publish_seconds", "inf"),
    ("spool_megabytes", 0),
    ("spool_megabytes", "plenty"),
    ("poll_seconds", 0.01),
    ("poll_seconds", 1.01),
    ("poll_seconds", "soon"),
    ("archive", "perhaps"),
    ("archive_seconds", 0.0),
    ("archive_seconds", 86_401),
    ("stream_hours", -1),
    ("stream_hours", "nan"),
    ("archive_days", -1),
    ("archive_days", 1.5),
    ("log_level", "loud"),
    ("management_rate", "many"),
    ("management_rate", "0/minute"),
    ("management_rate", "5/minute;3/second"),
    ("events_rate", "5 per fortnight"),
]


def toml(name: str, value: object) -> str:
    return f"{name} = {msgspec.json.encode(value).decode()}\n"


def written(folder: Path, text: str) -> Path:
    (folder / "service.toml").write_text(text, encoding="utf-8")
    return folder


def test_every_setting_but_the_folder_itself_is_tried_below() -> None:
    names = set(ServiceSettings.__struct_fields__)

    assert set(OTHERS) | {"config_dir"} == names
    for name, (value, _) in OTHERS.items():
        assert value != getattr(ServiceSettings(), name)


def test_every_setting_has_a_row_with_its_variable_and_help() -> None:
    rows = {row.name: row for row in table()}

    assert set(rows) == set(ServiceSettings.__struct_fields__)
    for name, row in rows.items():
        assert row.variable == f"BANDIT_{name.upper()}"
        assert row.default == getattr(ServiceSettings(), name)
        assert len(row.help) > 10


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_comes_from_the_file(tmp_path: Path, name: str) -> None:
    value, _ = OTHERS[name]
    folder = written(tmp_path, toml(name, value))

    settings = read_service_settings({}, {"config_dir": str(folder)})

    assert getattr(settings, name) == value


@pytest.mark.parametrize("name", OTHERS)
def test_the_environment_wins_over_the_file(tmp_path: Path, name: str) -> None:
    value, text = OTHERS[name]
    folder = written(tmp_path, toml(name, getattr(ServiceSettings(), name)))

    settings = read_service_settings(
        {PREFIX + name.upper(): text, "BANDIT_CONFIG_DIR": str(folder), "PATH": "/bin"}
    )

    assert getattr(settings, name) == value
    assert type(getattr(settings, name)) is type(value)


@pytest.mark.parametrize("name", OTHERS)
def test_an_option_wins_over_everything(tmp_path: Path, name: str) -> None:
    value, _ = OTHERS[name]
    default = getattr(ServiceSettings(), name)
    folder = written(tmp_path, toml(name, default))
    environ = {PREFIX + name.upper(): msgspec.json.encode(default).decode().strip('"')}

    settings = read_service_settings(environ, {"config_dir": str(folder), name: value})

    assert getattr(settings, name) == value


@pytest.mark.parametrize("name", OTHERS)
def test_an_option_that_was_not_given_leaves_the_environment_alone(
    tmp_path: Path, name: str
) -> None:
    value, text = OTHERS[name]

    settings = read_service_settings(
        {PREFIX + name.upper(): text}, {"config_dir": str(tmp_path), name: None}
    )

    assert getattr(settings, name) == value


def test_with_nothing_given_everything_has_its_default(tmp_path: Path) -> None:
    settings = read_service_settings({}, {"config_dir": str(tmp_path)})

    assert settings == ServiceSettings(config_dir=str(tmp_path))


def test_the_file_that_comes_with_the_package_changes_no_default() -> None:
    assert read_service_settings({}) == ServiceSettings()
    assert ServiceSettings().config_path == default_config_path()
    assert (default_config_path() / "service.toml").exists()


def test_redis_url_is_understood_under_its_common_name(tmp_path: Path) -> None:
    options = {"config_dir": str(tmp_path)}
    common, ours = {"REDIS_URL": "redis://common"}, {"BANDIT_REDIS_URL": "redis://ours"}

    assert read_service_settings(common, options).redis_url == "redis://common"
    assert read_service_settings({**common, **ours}, options).redis_url == "redis://ours"
    assert read_service_settings({**ours, **common}, options).redis_url == "redis://ours"
    assert read_service_settings({"REDIS_URL": ""}, options).redis_url == ""


def test_an_option_for_the_folder_wins_over_the_environment(tmp_path: Path) -> None:
    # given
    for name, port in (("one", 1111), ("two", 2222)):
        (tmp_path / name).mkdir()
        written(tmp_path / name, f"port = {port}\n")
    environ = {"BANDIT_CONFIG_DIR": str(tmp_path / "one")}

    # then
    assert read_service_settings(environ).port == 1111
    two = read_service_settings(environ, {"config_dir": str(tmp_path / "two")})
    assert two.port == 2222
    assert two.config_path == tmp_path / "two"


# -- what is wrong is named


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_in_the_file_names_setting_and_file(
    tmp_path: Path, name: str, value: object
) -> None:
    folder = written(tmp_path, toml(name, value))

    with pytest.raises(SettingsError, match=name) as caught:
        read_service_settings({}, {"config_dir": str(folder)})

    assert str(folder / "service.toml") in caught.value.message


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_in_the_environment_names_setting_and_place(
    tmp_path: Path, name: str, value: object
) -> None:
    environ = {PREFIX + name.upper(): str(value)}

    with pytest.raises(SettingsError, match=name) as caught:
        read_service_settings(environ, {"config_dir": str(tmp_path)})

    assert "the environment" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_option_names_setting_and_place(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        read_service_settings({}, {"config_dir": str(tmp_path), name: value})

    assert "the command line" in caught.value.message


def test_a_wrong_value_is_named_even_where_a_later_place_would_win(tmp_path: Path) -> None:
    folder = written(tmp_path, toml("port", "eighty"))

    with pytest.raises(SettingsError, match="port"):
        read_service_settings({"BANDIT_PORT": "80"}, {"config_dir": str(folder)})


def test_an_unknown_setting_is_named_with_its_place(tmp_path: Path) -> None:
    nowhere = {"config_dir": str(tmp_path)}

    with pytest.raises(SettingsError, match=r"environment.*wrokers"):
        read_service_settings({"BANDIT_WROKERS": "2"}, nowhere)
    with pytest.raises(SettingsError, match=r"command line.*wrokers"):
        read_service_settings({}, {**nowhere, "wrokers": 2})
    written(tmp_path, "wrokers = 2\n")
    with pytest.raises(SettingsError, match=r"service\.toml.*wrokers"):
        read_service_settings({}, nowhere)


def test_a_section_in_the_file_is_named(tmp_path: Path) -> None:
    written(tmp_path, "[server]\nport = 80\n")

    with pytest.raises(SettingsError, match="server"):
        read_service_settings({}, {"config_dir": str(tmp_path)})


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "service.toml").write_bytes(content)

    with pytest.raises(SettingsError, match=r"service\.toml"):
        read_service_settings({}, {"config_dir": str(tmp_path)})


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "service.toml").mkdir()

    with pytest.raises(SettingsError, match=r"service\.toml"):
        read_service_settings({}, {"config_dir": str(tmp_path)})


# -- what follows from a setting


def test_paths_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = ServiceSettings(data_dir="~/data", config_dir="~/conf")

    assert settings.data_path == tmp_path / "data"
    assert settings.config_path == tmp_path / "conf"


def test_without_a_data_folder_the_users_own_is_taken() -> None:
    assert ServiceSettings().data_path.name == "bandit-service"


def test_no_workers_means_one_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 5)

    assert ServiceSettings(workers=0).worker_count == 5
    assert ServiceSettings(workers=2).worker_count == 2


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(AttributeError):
        ServiceSettings().port = 1  # type: ignore[misc]


def test_a_process_that_is_started_goes_by_the_same_settings(tmp_path: Path) -> None:
    changed = ServiceSettings(
        **{name: value for name, (value, _) in OTHERS.items()},  # type: ignore[arg-type]
        config_dir=str(tmp_path),
    )
    assert read_service_settings(variables(changed)) == changed

    here = read_service_settings(variables(ServiceSettings()))
    assert here.data_path == ServiceSettings().data_path
    assert here.config_path == ServiceSettings().config_path


def test_the_archive_lies_in_the_data_folder_unless_it_has_one_of_its_own(tmp_path: Path) -> None:
    beside = ServiceSettings(data_dir=str(tmp_path))
    own = ServiceSettings(data_dir=str(tmp_path), archive_dir="~/a")

    assert beside.archive_path == tmp_path / "archive"
    assert own.archive_path == Path("~/a").expanduser()
