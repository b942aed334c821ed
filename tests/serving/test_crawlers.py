"""Who is told from a visitor, by which rules, and what is kept of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandit_service.errors import SettingsError
from bandit_service.serving import crawlers as module
from bandit_service.serving.crawlers import Crawlers, TrafficRules, crawlers_in
from bandit_service.settings import default_config_path

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_a_browser_is_a_person_and_a_listed_crawler_is_not() -> None:
    crawlers = Crawlers()

    assert crawlers.kind(CHROME, None) is None
    assert crawlers.kind(GOOGLE, None) == "crawler"


@pytest.mark.parametrize("agent", [None, "", 7, True, ["Googlebot/2.1"]])
def test_what_is_no_text_says_nothing(agent: object) -> None:
    assert Crawlers().kind(agent, agent) is None


@pytest.mark.parametrize(
    "purpose", ["prefetch", "prefetch;prerender", "Prefetch", " prefetch ;anonymous-client-ip"]
)
def test_a_prefetcher_is_known_by_its_purpose(purpose: str) -> None:
    assert Crawlers().kind(CHROME, purpose) == "prefetch"


@pytest.mark.parametrize("purpose", ["", "preview", "prefetched", "x;prefetch", None])
def test_other_purposes_are_those_of_people(purpose: object) -> None:
    assert Crawlers().kind(CHROME, purpose) is None


def test_a_site_names_crawlers_and_people_of_its_own_and_people_win() -> None:
    crawlers = Crawlers(TrafficRules(crawlers=["Acme", "Both"], people=["^Googlebot-Me", "Both"]))

    assert crawlers.kind("AcmeMonitor/2", None) == "crawler"
    assert crawlers.kind("Googlebot-Me/1", None) is None
    assert crawlers.kind("Both/1", None) is None
    assert crawlers.kind(GOOGLE, None) == "crawler"


def test_a_verdict_is_reached_once_and_verdicts_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crawlers = Crawlers()
    judged: list[str] = []

    def judge(agent: str) -> bool:
        judged.append(agent)
        return False

    monkeypatch.setattr(module, "is_crawler", judge)
    monkeypatch.setattr(module, "MAX_VERDICTS", 3)

    for agent in ("a", "a", "b", "c", "c", "d", "a"):
        crawlers.kind(agent, None)

    assert judged == ["a", "b", "c", "d", "a"]
    assert len(crawlers._verdicts) <= 3


def test_only_the_beginning_of_a_long_user_agent_is_looked_at_and_kept() -> None:
    crawlers = Crawlers()

    assert crawlers.kind("x" * 600 + GOOGLE, None) is None
    assert crawlers.kind(GOOGLE + "x" * 600, None) == "crawler"
    assert max(map(len, crawlers._verdicts)) == module.MAX_AGENT


def test_rules_are_read_from_the_configuration_folder(tmp_path: Path) -> None:
    (tmp_path / "traffic.toml").write_text('crawlers = ["Acme"]\npeople = ["Googlebot"]\n')

    crawlers = crawlers_in(tmp_path)

    assert crawlers.kind("Acme/1", None) == "crawler"
    assert crawlers.kind(GOOGLE, None) is None


def test_without_a_file_the_list_alone_decides(tmp_path: Path) -> None:
    assert crawlers_in(tmp_path).kind(GOOGLE, None) == "crawler"


def test_the_shipped_file_changes_nothing_and_every_line_of_it_can_be_used(tmp_path: Path) -> None:
    shipped = (default_config_path() / "traffic.toml").read_text(encoding="utf-8")
    assert crawlers_in(default_config_path()).kind("AcmeMonitor/1", None) is None

    keys = [line.removeprefix("# ") for line in shipped.splitlines() if " = [" in line]
    (tmp_path / "traffic.toml").write_text("\n".join(keys))

    assert [key.split()[0] for key in keys] == list(TrafficRules.__struct_fields__)
    crawlers = crawlers_in(tmp_path)
    assert crawlers.kind("AcmeMonitor/1", None) == "crawler"
    assert crawlers.kind("HeadlessChrome", None) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('crawlers = ["("]', "crawlers: '('"),
        ('people = ["fine", "[a-"]', "people: '[a-'"),
        ('crawlers = [".*"]', "matches everybody"),
        ('crawlers = "Acme"', "crawlers"),
        ('robots = ["Acme"]', "robots"),
        ("crawlers = [", "TOML"),
    ],
)
def test_a_wrong_rule_is_refused_with_file_key_and_remedy(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "traffic.toml").write_text(text)

    with pytest.raises(SettingsError) as caught:
        crawlers_in(tmp_path)

    assert str(tmp_path / "traffic.toml") in caught.value.message
    assert says in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint
