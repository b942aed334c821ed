"""Pictures of every page of the desk, for people to look at: ``make screenshots``.

    python -m tests.desk.screenshots [FOLDER]

A site is made in memory, with drawn pictures and a week of visits; each page is shown on a desktop,
on a phone and in the dark. FOLDER is a temporary one unless it is named.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from bandit_service.folds.rebuild import rebuild
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.web.app import create_app
from tests.browsers import browser_path, chromium, signed_in_page
from tests.desk.lantern import Lantern, lantern
from tests.desk.pictures import pictures
from tests.desk.served import served

VISITS: Final = 20_000
FILM: Final = "/desk/placements/the-long-summer"
PAGES: Final = {
    "overview": "/desk",
    "overview-nothing-found": "/desk?q=nothing+like+this",
    "placement-thumbnails": FILM,
    "placement-headlines": "/desk/placements/the-salt-road",
    "placement-cards": "/desk/placements/second-helpings",
    "placement-empty": "/desk/placements/empty-spot",
    "placement-settings": f"{FILM}/edit",
    "placement-new": "/desk/new-placement",
    "creative-new": "/desk/placements/second-helpings/new-variant",
    "creative-edit": f"{FILM}/variants/kiss-at-dusk",
    "import": "/desk/import",
    "personas": "/desk/personas",
    "next": "/desk/next",
    "policies": "/desk/policies",
    "error": "/desk/nowhere",
}
"""What is shown, by the name of its file."""
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "desktop": {"viewport": {"width": 1280, "height": 860}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
}


def main(folder: Path) -> int:
    """Write all pictures to ``folder``; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with _site() as (site, url), chromium() as browser:
        key = site.key("admin", "Ada")
        for look, options in LOOKS.items():
            _sign_in(browser, url, folder / f"sign-in-{look}.png", options)
            with signed_in_page(browser, url, key, **options) as page:
                for name, path in PAGES.items():
                    _show(page, path, folder / f"{name}-{look}.png")
                _refused(page, folder / f"creative-refused-{look}.png")
                _previewed(page, folder / f"import-preview-{look}.png")
            written += len(PAGES) + 3
    return written


@contextmanager
def _site() -> Iterator[tuple[Lantern, str]]:
    """The demo's site after its week, with settings that changed once, behind a socket."""
    with tempfile.TemporaryDirectory() as config, pictures() as drawn:
        end = int(time.time() * 1000)
        with lantern(drawn, end=end, config=Path(config), visits=VISITS) as site:
            other = SiteSettings(policy=PolicySettings(typical_reward=0.06, holdout=0.2))
            rebuild(site.services.store.site("main"), other, progress=lambda _: None)
            site.services.refresh()
            with served(create_app(site.services)) as url:
                yield site, url


def _show(page: Page, path: str, file: Path) -> None:
    page.goto(path)
    page.evaluate("document.querySelectorAll('img').forEach((one) => (one.loading = 'eager'))")
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => !document.querySelector('.chart:not(.drawn)')")
    page.screenshot(path=file, full_page=True)


def _refused(page: Page, file: Path) -> None:
    """A form that comes back with everything that is wrong with it."""
    page.goto("/desk/placements/second-helpings/new-variant")
    page.fill("#image_url", "javascript:alert(1)")
    page.fill("#alt", "A table for two")
    page.click("text=Save as a draft")
    page.wait_for_selector("#problem-image_url")
    page.screenshot(path=file, full_page=True)


def _previewed(page: Page, file: Path) -> None:
    """What a spreadsheet would do, some of it wrong."""
    rows = ["placement;variant;kind;headline;status", "the-salt-road;dunes;;Dunes, and no map;live"]
    rows += ["menu;soup;headline;Eleven soups;live", "menu;a b;headline;Stew;live"]
    rows += ["the-salt-road;long;;" + "x" * 1_200 + ";draft", "menu;oven;headline;Oven;alive"]
    sheet = {"name": "autumn.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
    page.goto("/desk/import")
    page.set_input_files("#sheet", sheet)  # type: ignore[arg-type]
    page.click("text=Look at what it would do")
    page.wait_for_selector("#would")
    page.screenshot(path=file, full_page=True)


def _sign_in(browser: Browser, url: str, file: Path, options: dict[str, Any]) -> None:
    context = browser.new_context(base_url=url, **options)
    page = context.new_page()
    page.goto("/desk")
    page.screenshot(path=file)
    context.close()


if __name__ == "__main__":
    if browser_path() is None:
        sys.exit("There is no browser on PATH: install chromium.")
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="desk-"))
    print(f"{main(chosen)} pictures in {chosen}")
