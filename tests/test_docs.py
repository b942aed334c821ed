"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from bandit_service import errors
from bandit_service.catalog.edit import put_placement
from bandit_service.catalog.model import (
    Finish,
    Persona,
    PersonasSpec,
    PlacementSpec,
    Rule,
    VariantSpec,
)
from bandit_service.cli import main
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import (
    PolicySettings,
    SiteSettings,
    differences,
    read_settings,
)
from bandit_service.settings import ServiceSettings, SettingHelp, table
from bandit_service.web.routes import ROUTES, Route

ROOT = Path(__file__).parent.parent
NOBODY = "\N{EN DASH}"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
DOCS = "".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        yield f"{path}{name}", command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_has_help_with_an_example(name: str, command: click.Command) -> None:
    assert command.help
    assert "Example: bandit-service" in command.help
    assert name.split(maxsplit=1)[0] in command.help


@pytest.mark.parametrize(
    "name", [name for name, command in commands() if not isinstance(command, click.Group)]
)
def test_every_command_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_documented_with_its_role(route: Route) -> None:
    method, path, role = route[:3]
    rows = [
        line
        for line in DOCS.splitlines()
        if line.startswith("|") and method in line and re.search(rf"{re.escape(path)}[`,]", line)
    ]
    assert len(rows) == 1
    assert f"| {role or NOBODY} |" in rows[0]


@pytest.mark.parametrize("row", table(), ids=lambda row: row.name)
def test_every_setting_of_the_processes_is_documented_and_has_help(row: SettingHelp) -> None:
    name, variable, default, help_text = row
    documented = next(
        line for line in DOCS.splitlines() if line.startswith("|") and f"`{variable}`" in line
    )
    assert f"`{name}`" in documented
    assert help_text
    if default not in ("", None):
        assert f"`{str(default).lower()}`" in documented


@pytest.mark.parametrize(
    ("part", "kind"), [("rewards", RewardSettings), ("policy", PolicySettings)]
)
def test_every_setting_of_a_site_is_documented_with_its_default(
    part: str, kind: type[msgspec.Struct]
) -> None:
    for field in msgspec.structs.fields(kind):
        rows = [line for line in DOCS.splitlines() if f"| `{part}.{field.name}` |" in line]
        assert len(rows) == 1, field.name
        default = field.default
        if isinstance(default, int | float):
            assert f"| {default:g} |" in rows[0]
        elif isinstance(default, str):
            assert f"`{default}`" in rows[0]


def test_the_shipped_site_settings_are_the_defaults_and_name_every_one() -> None:
    data = (ROOT / "config" / "site.toml").read_bytes()

    assert differences(SiteSettings(), read_settings(data, name="site.toml")) == []
    tree = tomllib.loads(data.decode())
    assert set(tree["policy"]) == set(PolicySettings.__struct_fields__)
    assert set(tree["rewards"]) == set(RewardSettings.__struct_fields__)


def test_the_reasons_for_the_default_policy_name_every_value_as_it_is() -> None:
    text = (ROOT / "config" / "policy.toml").read_text("utf-8")

    said = tomllib.loads(text)["policy"]

    assert msgspec.convert(said, PolicySettings) == PolicySettings()
    assert set(said) == set(PolicySettings.__struct_fields__)
    values = [n for n, line in enumerate(text.splitlines()) if re.match(r"[a-z_]+ = ", line)]
    told = [n for n in values if text.splitlines()[n - 1].startswith("#")]
    grouped = {"epsilon", "learning_rate", "power_t"}  # the reason of gamma is theirs too
    assert len(told) == len(values) - len(grouped)


@pytest.mark.parametrize("name", ["demo/site.toml", "demo/obd.toml"])
def test_the_demos_settings_can_be_read(name: str) -> None:
    read_settings((ROOT / "config" / name).read_bytes(), name=name)


def test_the_shipped_service_settings_can_be_read() -> None:
    data = tomllib.loads((ROOT / "config" / "service.toml").read_text(encoding="utf-8"))
    msgspec.convert(data, ServiceSettings)


@pytest.mark.parametrize(
    "record", [PlacementSpec, VariantSpec, Finish, PersonasSpec, Persona, Rule]
)
def test_the_shipped_catalog_names_every_field_as_errors_say(record: type[msgspec.Struct]) -> None:
    text = (ROOT / "config" / "catalog.toml").read_text(encoding="utf-8")

    for field in record.__struct_fields__:
        assert re.search(rf"\b{field}\b", text), field


def test_the_examples_in_the_shipped_catalog_can_be_put() -> None:
    # given what stands there as a comment, one line after the other
    text = (ROOT / "config" / "catalog.toml").read_text(encoding="utf-8")
    lines = re.findall(r"^#   (\w+ = .*)$", text, re.MULTILINE)
    of_variant = [line for line in lines if line.startswith(("live_", "min_", "max_"))]
    of_placement = [line for line in lines if line not in of_variant]
    assert (len(of_placement), len(of_variant)) == (5, 4)

    # then each of them may be said of a placement
    for line in of_placement:
        said = tomllib.loads(line) | {"kind": "thumbnail", "variants": [
            {"id": "kiss-at-dusk", "image_url": "/a.jpg", "status": "live",
             **tomllib.loads("\n".join(of_variant))},
        ]}  # fmt: skip
        put_placement(None, "film", msgspec.convert(said, PlacementSpec), now=0)


def test_every_error_says_when_it_is_raised_and_stands_in_the_tree() -> None:
    tree = errors.__doc__ or ""
    found = [
        error
        for error in vars(errors).values()
        if inspect.isclass(error) and issubclass(error, errors.BanditError)
    ]

    for error in found:
        assert error.__name__ in tree
        if error is not errors.BanditError:
            assert (error.__doc__ or "").startswith("Raised when")
    codes = [error.code for error in found]
    assert len(codes) == len(set(codes))


def test_every_module_begins_with_what_it_is() -> None:
    for path in (ROOT / "bandit_service").rglob("*.py"):
        assert path.read_text(encoding="utf-8").startswith(('"""', 'r"""')), path


def test_every_file_that_is_named_exists() -> None:
    for name in re.findall(r"`((?:config|tests|bandit_service|simulations)/[\w./-]+)`", DOCS):
        assert (ROOT / name).exists(), name
    for prefix in set(re.findall(r"`(test_\d_)…`", DOCS)):
        assert f"def {prefix}" in (ROOT / "tests" / "test_invariants.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        aim = page.parent / name if name else page
        assert aim.is_file(), target
        titles = re.findall(r"^#+ (.+)$", aim.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, target


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")

    for page in PAGES[1:]:
        assert f"](docs/{page.name})" in readme


def test_nothing_committed_names_an_index_or_a_machine() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "index-url" not in lock
    assert "find-links" not in lock
    assert "://" not in lock
    assert "file:" not in lock
