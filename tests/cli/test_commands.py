"""Commands that need no running service, and what they say when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bandit_service.access import digest_of
from bandit_service.cli import main
from bandit_service.cli.keys import Duration
from bandit_service.opening import open_spool
from bandit_service.settings import ServiceSettings
from bandit_service.storage.redis_store import place_of

CATALOG = """
[[personas]]
id = "romantic"
[[personas.rules]]
trait = "genres"
any = ["romance"]
[[placements]]
id = "film"
kind = "headline"
[[placements.variants]]
id = "a"
headline = "A"
status = "live"
"""


Patch = pytest.MonkeyPatch
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: Patch) -> Run:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path / "data"))

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return call


def test_a_wrong_file_is_one_sentence_with_a_hint_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    result = run("catalog", "import", str(tmp_path / "nowhere.toml"))

    assert result.exit_code == 2
    assert re.search(r"^Error: .*nowhere.toml cannot be read", result.output, re.MULTILINE)
    assert "Hint: " in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("[[placements]]\nid = 'x'\nkind = 'poster'", "poster"),
        ("[[placements]]\nid = 'x y'\nkind = 'headline'", "x y"),
        ("[[placements]]\nkind = 'headline'", "not a valid id"),
        ("[[plaecments]]", "plaecments"),
        ("not toml", "broken.toml"),
        (
            CATALOG + "[[placements]]\nid='b'\nkind='headline'\n[[placements.variants]]\nid='v'",
            "headline",
        ),
    ],
)
def test_a_catalog_with_a_mistake_changes_nothing_and_names_it(
    run: Run, tmp_path: Path, broken: str, said: str
) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(broken)

    result = run("catalog", "import", str(file))

    assert result.exit_code == 2
    assert said in result.output
    assert '"placements": []' in run("catalog", "export").output


PICTURES = """
[[placements]]
id = "poster"
kind = "thumbnail"
name = "Tom & \\"Jerry\\""
[[placements.variants]]
id = "a"
image_url = "/a.png"
status = "live"
"""


def test_addresses_for_e_mails_come_as_the_html_to_put_in(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG + PICTURES)
    run("catalog", "import", str(file))
    home = ("--home", "https://shop.example")

    made = run("catalog", "links", "poster", *home, "--service", "https://bandit.example/")

    assert made.exit_code == 0, made.output
    pattern = (
        r'<a href="https://bandit.example/c/([\w-]+)/{reader}">'
        r'<img src="https://bandit.example/i/\1/{reader}" alt="Tom &amp; &quot;Jerry&quot;"></a>\n'
    )
    assert re.match(pattern, made.stdout)
    for wrong, code, said in (
        (("film", *home), 2, "headlines"),
        (("nowhere", *home), 4, "nowhere"),
        (("poster", "--home", "shop.example"), 2, "home"),
        (("poster", *home, "--persona", "pirate"), 2, "pirate"),
    ):
        refused = run("catalog", "links", *wrong)
        assert refused.exit_code == code
        assert said in refused.output


def test_an_unknown_setting_is_named_with_its_source(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDIT_PROT", "80")

    result = run("keys", "list")

    assert result.exit_code == 2
    assert "the environment" in result.output
    assert "prot" in result.output


def test_an_unreachable_redis_is_a_sentence_with_exit_code_3(run: Run) -> None:
    result = run("keys", "list", "--redis-url", "redis://127.0.0.1:1/0")

    assert result.exit_code == 3
    assert result.output.startswith("Error: Redis: ")


def test_a_forged_decision_is_not_found_with_exit_code_4(run: Run) -> None:
    for forged, said in (("A" * 32, "not in the log"), ("made-up", "never issued")):
        result = run("explain", forged)

        assert result.exit_code == 4
        assert said in result.output


def test_a_site_with_an_impossible_name_is_refused(run: Run) -> None:
    result = run("keys", "create", "--role", "site", "--site", "Not A Site")

    assert result.exit_code == 2
    assert "cannot be the name of a site" in result.output


def test_rebuilding_an_empty_site_serves_the_snapshot_of_an_empty_log(run: Run) -> None:
    result = run("rebuild")

    assert result.exit_code == 0, result.output
    assert "learned from 0 outcomes" in result.output


def test_settings_lists_every_setting_with_its_value_here(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDIT_PORT", "8123")

    result = run("settings")

    assert result.exit_code == 0
    assert "BANDIT_PORT" in result.output
    assert "8123" in result.output


# -- keys


def test_a_key_is_made_for_pages_rotated_and_listed_with_its_origins_and_end(run: Run) -> None:
    # given
    made = run(
        "keys", "create", "--role", "site", "--origin", "HTTPS://Shop.example", "--label", "x"
    )
    key = made.stdout.strip()
    assert made.exit_code == 0, made.output
    assert "for pages of https://shop.example" in made.stderr
    key_id = digest_of(key)[:8]

    # when
    rotated = run("keys", "rotate", key_id, "--overlap", "30m")

    # then
    assert rotated.exit_code == 0, rotated.output
    assert rotated.stdout.strip().startswith("bk_main_")
    assert f"{key_id} is valid until" in rotated.stderr
    listed = run("keys", "list").output
    assert key_id in listed
    assert digest_of(rotated.stdout.strip())[:8] in listed
    assert {"origins", "expires"} <= set(re.findall(r"\w+", listed))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "--role", "site", "--origin", "https://shop.example/path"), "not the origin"),
        (("create", "--role", "site", "--origin", "*"), "not the origin"),
        (("create", "--role", "editor", "--origin", "https://shop.example"), "web page"),
        (("rotate", "12345678", "--overlap", "1 hour"), "30m, 1h or 7d"),
        (("rotate", "12345678", "--overlap", "-1h"), "30m, 1h or 7d"),
        (("rotate", "12345678", "--overlap", "1000d"), "out of bounds"),
        (("rotate-mac", "--keep", "1"), "cannot be kept"),
        (("rotate-mac", "--site", "nowhere"), "no site"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_exit_code_2(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    run("keys", "create", "--role", "site")

    result = run("keys", *words)

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_what_signs_is_rotated_until_a_key_would_go_too_early(run: Run) -> None:
    run("keys", "create", "--role", "site")
    for keys in (2, 3, 4):
        result = run("keys", "rotate-mac")
        assert result.exit_code == 0, result.output
        assert f"{keys} keys verify" in result.output

    refused = run("keys", "rotate-mac")

    assert refused.exit_code == 5
    assert "not taken effect" in refused.output


@pytest.mark.parametrize(
    ("text", "ms"), [("0s", 0), ("90s", 90_000), ("30m", 1_800_000), ("7d", 604_800_000)]
)
def test_a_time_is_a_number_and_a_unit(text: str, ms: int) -> None:
    assert Duration().convert(text, None, None) == ms


def test_spool_status_tells_what_waits_for_this_redis_and_for_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path))
    settings = ServiceSettings(data_dir=str(tmp_path))
    ours, other = "redis://here", "redis://elsewhere:7000/2"
    for url, entries in ((ours, [b"1", b"2"]), (other, [b"3"])):
        with closing(open_spool(settings, url)) as spool:
            spool.put("main", entries, now=1)

    # when asked under another spelling of the same address
    told = CliRunner().invoke(main, ["spool", "status", "--redis-url", "redis://HERE:6379/0"])

    # then
    assert told.exit_code == 0
    assert "site main: 2 wait for Redis" in told.output
    assert "1 entries wait in" in told.output
    assert "another address" in told.output


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://h", "redis://user:word@H:6379/0", True),
        ("redis://h/1", "redis://h/2", False),
        ("redis://h:1", "redis://h:2", False),
        ("unix:///r.sock", "unix://:word@/r.sock?db=0", True),
        ("unix:///r.sock?db=1", "unix:///r.sock?db=2", False),
        ("unix:///r.sock", "unix:///s.sock", False),
    ],
)
def test_an_address_of_redis_is_one_place_however_it_is_spelled(
    one: str, other: str, same: bool
) -> None:
    assert (place_of(one) == place_of(other)) is same
