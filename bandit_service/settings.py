"""How this process runs: where Redis is, which address to serve, how often to look for news.

Each setting is one field of ``ServiceSettings``, with its default, its unit and its help; there is
no other list. Values come, later ones winning, from the defaults, ``service.toml`` in the
configuration folder, the environment (``BANDIT_`` and the name in capitals; ``REDIS_URL`` too), and
the options of the command line. They are read once, into a frozen value that is passed around.

What learning and choosing depend on is not here: that is ``policy.settings``, and travels with the
snapshots.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import limits
import msgspec
import platformdirs

from bandit_service.errors import SettingsError

PREFIX: Final = "BANDIT_"
_PUBLIC_URL: Final = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?")


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a process; see the module's docstring for where they come from."""

    redis_url: Annotated[
        str,
        msgspec.Meta(
            description="Redis to use: redis://, rediss:// or unix://. Empty: a redis-server of "
            "its own, with its data in data_dir. REDIS_URL sets it too."
        ),
    ] = ""
    data_dir: Annotated[
        str,
        msgspec.Meta(
            description="Folder of the embedded Redis, the archive and uploaded pictures. Empty: "
            "the user's own data folder for bandit-service."
        ),
    ] = ""
    fsync: Annotated[
        Literal["everysec", "always"],
        msgspec.Meta(
            description="When the embedded Redis writes to disk: within a second or two, or "
            "before it acknowledges."
        ),
    ] = "everysec"
    spool_megabytes: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=1_048_576,
            description="Disk, in data_dir, for decisions and events that wait while Redis is "
            "away, in megabytes.",
        ),
    ] = 1024
    config_dir: Annotated[
        str,
        msgspec.Meta(
            description="Folder with service.toml, site.toml and catalog.toml. Empty: the one "
            "that comes with the package."
        ),
    ] = ""
    site_settings: Annotated[
        str,
        msgspec.Meta(
            description="File with the rewards and the policy of the sites, within config_dir."
        ),
    ] = "site.toml"
    site: Annotated[
        str, msgspec.Meta(description="The site that commands speak of unless told otherwise.")
    ] = "main"
    host: Annotated[str, msgspec.Meta(description="Address to serve on.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="TCP port to serve on.")] = 8080
    workers: Annotated[
        int, msgspec.Meta(ge=0, le=256, description="Web processes; 0 is one for each core.")
    ] = 0
    learn: Annotated[
        bool, msgspec.Meta(description="Whether serve runs a learner beside the web processes.")
    ] = True
    seed_catalog: Annotated[
        bool,
        msgspec.Meta(description="Whether serve fills an empty site from catalog.toml."),
    ] = True
    publish_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=0.05, le=3600, description="Seconds between two snapshots while learning, at least."
        ),
    ] = 0.5
    poll_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=0.02,
            le=1,  # a revoked key is refused within 2 s: half of it for waiting, half for looking
            description="Seconds between two looks of a web process for snapshots, catalog "
            "changes and revoked keys.",
        ),
    ] = 0.2
    archive: Annotated[
        bool,
        msgspec.Meta(description="Whether serve runs an archiver beside the web processes."),
    ] = True
    archive_dir: Annotated[
        str, msgspec.Meta(description="Folder of the archive. Empty: archive, in data_dir.")
    ] = ""
    archive_seconds: Annotated[
        float,
        msgspec.Meta(ge=0.05, le=86_400, description="Seconds between two rounds of the archiver."),
    ] = 300.0
    stream_hours: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=87_600,
            description="Hours that entries stay in Redis at least, archived or not.",
        ),
    ] = 48.0
    archive_days: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=36_500,
            description="Days that decisions and events stay in the archive; 0 is for ever.",
        ),
    ] = 0
    media_url: Annotated[
        str,
        msgspec.Meta(
            description="Where uploaded pictures are kept: a folder, or an address such as "
            "s3://bucket/pictures, whose package (s3fs) must be installed. Empty: media, in "
            "data_dir."
        ),
    ] = ""
    public_url: Annotated[
        str,
        msgspec.Meta(
            description="Address at which browsers reach this service, such as "
            "https://creatives.example, for the addresses of uploaded pictures. Empty: the one "
            "that the upload came to."
        ),
    ] = ""
    management_rate: Annotated[
        str,
        msgspec.Meta(
            description="Management and report calls that one key may make, such as 3000/minute. "
            "Empty: any number."
        ),
    ] = "3000/minute"
    media_rate: Annotated[
        str,
        msgspec.Meta(
            description="Pictures that one key may upload, such as 60/minute: each takes up to a "
            "second of a web process. Empty: any number."
        ),
    ] = "60/minute"
    events_rate: Annotated[
        str,
        msgspec.Meta(
            description="Events that one key may report, such as 300000/minute; each event of a "
            "call counts. Empty: any number."
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        msgspec.Meta(description="Least severity that is logged."),
    ] = "info"

    def __post_init__(self) -> None:
        """Refuse what cannot be used; msgspec makes it one of its own errors."""
        check_rate(self.management_rate, "management_rate")
        check_rate(self.media_rate, "media_rate")
        check_rate(self.events_rate, "events_rate")
        check_public_url(self.public_url)

    @property
    def data_path(self) -> Path:
        """The folder of the embedded Redis."""
        if self.data_dir:
            return Path(self.data_dir).expanduser()
        return platformdirs.user_data_path("bandit-service")

    @property
    def spool_path(self) -> Path:
        """The folder of what this machine keeps for a Redis that is away."""
        return self.data_path / "spool"

    @property
    def archive_path(self) -> Path:
        """The folder of the archive."""
        return (
            Path(self.archive_dir).expanduser() if self.archive_dir else self.data_path / "archive"
        )

    @property
    def media_path(self) -> Path:
        """The folder of pictures, where ``media_url`` names no other place."""
        return self.data_path / "media"

    @property
    def config_path(self) -> Path:
        """The folder with the configuration files."""
        return Path(self.config_dir).expanduser() if self.config_dir else default_config_path()

    @property
    def worker_count(self) -> int:
        """How many web processes to run."""
        return self.workers or os.cpu_count() or 1


def check_rate(rate: str, name: str) -> None:
    """Raise ValueError, naming the setting, unless ``rate`` is empty or one rate above 0."""
    if not rate:
        return
    try:
        (one,) = limits.parse_many(rate)
        usable = one.amount > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{name} is {rate[:80]!r}: write 600/minute, 50/second, or '' for none")


def check_public_url(url: str) -> None:
    """Raise ValueError unless ``url`` is empty or scheme, host and perhaps a path."""
    if url and not _PUBLIC_URL.fullmatch(url):
        raise ValueError(
            f"public_url is {url[:80]!r}: write https://creatives.example, without '?' or '#'"
        )


class SettingHelp(NamedTuple):
    """One row of the table of settings."""

    name: str
    variable: str
    default: object
    help: str


def table() -> list[SettingHelp]:
    """Every setting, for ``--help`` and the reference."""
    schema = msgspec.json.schema(ServiceSettings)["$defs"]["ServiceSettings"]["properties"]
    return [
        SettingHelp(
            field.name,
            PREFIX + field.name.upper(),
            field.default,
            schema[field.name].get("description", ""),
        )
        for field in msgspec.structs.fields(ServiceSettings)
    ]


def variables(settings: ServiceSettings) -> dict[str, str]:
    """The settings as environment variables, for a process that goes by the same ones."""
    placed = msgspec.structs.replace(
        settings, data_dir=str(settings.data_path), config_dir=str(settings.config_path)
    )
    values = msgspec.to_builtins(placed).items()
    return {
        PREFIX + name.upper(): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values
    }


def default_config_path() -> Path:
    """The configuration that comes with the package, or with the checkout."""
    packaged = Path(__file__).parent / "_config"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "config"


def read_service_settings(
    environ: Mapping[str, str], options: Mapping[str, object] | None = None
) -> ServiceSettings:
    """Put the settings together; an option that is None was not given.

    Raises:
        SettingsError: if a setting is unknown or wrong; names it, and where it came from.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    variables = _from_environment(environ)
    folder = given.get("config_dir") or variables.get("config_dir") or ""
    folder_path = Path(str(folder)).expanduser() if folder else default_config_path()
    merged: dict[str, Any] = {}
    for source, values in (
        (str(folder_path / "service.toml"), _from_file(folder_path)),
        ("the environment", variables),
        ("the command line", given),
    ):
        _convert(values, source)
        merged |= values
    return _convert(merged, "the settings")


def _convert(values: Mapping[str, object], source: str) -> ServiceSettings:
    try:
        return msgspec.convert(dict(values), ServiceSettings, strict=False)
    except msgspec.ValidationError as exc:
        raise SettingsError(
            f"{source}: {exc}", hint="bandit-service settings lists every setting"
        ) from exc


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if environ.get("REDIS_URL"):
        found["redis_url"] = environ["REDIS_URL"]
    for variable, value in environ.items():
        if variable.startswith(PREFIX):
            found[variable.removeprefix(PREFIX).lower()] = value
    return found


def _from_file(folder: Path) -> dict[str, Any]:
    path = folder / "service.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as exc:  # TOML's and UTF-8's are ValueErrors
        raise SettingsError(f"{path}: {exc}", hint="is it TOML, in UTF-8?") from exc
