"""Settings over time at the desk, and the way back to earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from bandit_service.errors import Conflict, NotFound
from bandit_service.folds.rebuild import rebuild
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.rebuilding import LOST_MS, Note, Telling, noted, start
from bandit_service.services import Services
from tests.conftest import Clock
from tests.desk.people import Person, text_of

OTHER = SiteSettings(policy=PolicySettings(holdout=0.2, floor=0.1))


class Launched:
    """Takes note of what would be started."""

    def __init__(self) -> None:
        self.commands: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self.commands.append((list(command), environ))


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launched:
    found = Launched()
    monkeypatch.setattr("bandit_service.rebuilding.launched", found)
    return found


def moved_on(services: Services) -> str:
    """Serve under other settings; the id of those before."""
    before = services.site_settings.id
    rebuild(services.store.site("main"), OTHER, progress=lambda _: None)
    return before


def test_the_page_lists_generations_with_what_changed(admin: Person, services: Services) -> None:
    moved_on(services)

    page = text_of(admin.get("/desk/policies"))

    assert page.index("Generation 2 Serves now") < page.index("Generation 1")
    assert "policy.holdout 0.05 0.2" in page
    assert "policy.floor 0.02 0.1" in page
    assert "policy.gamma 40.0 4" not in page.split("All settings")[0]


def test_an_admin_goes_back_by_one_button(
    admin: Person, services: Services, launched: Launched
) -> None:
    before = moved_on(services)

    response = admin.post("/desk/policies", {"settings": before})

    assert response.status_code == 303
    ((command, environ),) = launched.commands
    assert command[1:6] == ["-m", "bandit_service", "rebuild", "--settings-id", before]
    assert "--noted" in command
    assert environ["BANDIT_CONFIG_DIR"] == services.settings.config_dir
    page = text_of(admin.get("/desk/policies"))
    assert f"Going back to settings {before}" in page
    assert "Go back to these settings" not in page  # one at a time


def test_an_editor_may_look_and_not_go_back(
    editor: Person, services: Services, launched: Launched
) -> None:
    before = moved_on(services)

    assert "Go back" not in text_of(editor.get("/desk/policies"))
    assert editor.post("/desk/policies", {"settings": before}).status_code == 403
    assert launched.commands == []


@pytest.mark.parametrize("settings", ["", "nothing", "../../x", "-h"])
def test_settings_that_never_were_are_refused(
    admin: Person, launched: Launched, settings: str
) -> None:
    response = admin.post("/desk/policies", {"settings": settings})

    assert response.status_code == 404
    assert launched.commands == []


def test_settings_that_serve_are_not_gone_back_to(
    admin: Person, services: Services, launched: Launched
) -> None:
    moved_on(services)

    assert admin.post("/desk/policies", {"settings": OTHER.id}).status_code == 412
    assert launched.commands == []


# -- the note


def test_two_rebuilds_never_run_at_once(services: Services, launched: Launched) -> None:
    site = services.store.site("main")
    before = moved_on(services)
    start(services.settings, site, before, by="a", now=0, launch=launched)

    with pytest.raises(Conflict):
        start(services.settings, site, before, by="b", now=LOST_MS - 1, launch=launched)
    start(services.settings, site, before, by="c", now=LOST_MS, launch=launched)

    assert [note.by for note in [noted(site)] if note] == ["c"]
    assert len(launched.commands) == 2


def test_progress_and_end_are_told(
    admin: Person, services: Services, clock: Clock, launched: Launched
) -> None:
    site, before = services.store.site("main"), moved_on(services)
    start(services.settings, site, before, by="ada", now=clock(), launch=launched)

    with Telling(site, clock=clock) as telling:
        telling.expect(200)
        clock.advance(1)
        telling.advance(50)
        assert "50 of 200 entries so far" in text_of(admin.get("/desk/policies/live"))
        telling.done("snapshot")

    assert "50 entries were folded, and its result serves" in text_of(admin.get("/desk/policies"))


def test_a_failure_is_told_in_its_own_words(
    admin: Person, services: Services, clock: Clock, launched: Launched
) -> None:
    site, before = services.store.site("main"), moved_on(services)
    start(services.settings, site, before, by="ada", now=clock(), launch=launched)

    def fail() -> None:
        with Telling(site, clock=clock):
            raise NotFound("the archive is not here")

    with pytest.raises(NotFound):
        fail()

    page = text_of(admin.get("/desk/policies"))
    assert "failed: the archive is not here" in page
    assert "Go back to these settings" in page


def test_one_that_died_is_not_waited_for(
    admin: Person, services: Services, clock: Clock, launched: Launched
) -> None:
    site, before = services.store.site("main"), moved_on(services)
    start(services.settings, site, before, by="ada", now=clock(), launch=launched)
    clock.advance(LOST_MS / 1000)

    assert "ended without a word" in text_of(admin.get("/desk/policies"))


def test_a_rebuild_by_hand_tells_nobody(services: Services, clock: Clock) -> None:
    site = services.store.site("main")
    with Telling(site, clock=clock) as telling:
        telling.expect(3)
        telling.advance(3)
        telling.done("x")

    assert noted(site) is None


def test_notes_are_read_back(services: Services) -> None:
    site = services.store.site("main")
    note = Note(settings="s", by="b", began=1, renewed=2, total=3, folded=1, words="w")
    assert site.note_rebuilding(msgspec.json.encode(note), replaces=None)

    assert noted(site) == note
    assert not site.note_rebuilding(b"{}", replaces=None)
