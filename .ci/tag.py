"""Makes the website's tag, ``bandit_service/web/tag/tag.js``, from its source; run by ``make tag``.

The parts of ``source/`` are joined in the order of ``PARTS`` inside one function, so that they see
each other and the page sees none of them, and minified by tdewolff-minify as ``requirements.lock``
pins it. The first line of the file says by what it was made and of which source: whoever changes
the source runs this, and a test holds both together. Nothing is built where the service runs.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "bandit_service" / "web" / "tag"
PARTS: Final = (
    "settings",
    "visitor",
    "calls",
    "outbox",
    "content",
    "slots",
    "sight",
    "start",
)
MINIFIER: Final = "tdewolff-minify"


def source() -> str:
    """The parts as one script."""
    texts = [(FOLDER / "source" / f"{part}.js").read_text(encoding="utf-8") for part in PARTS]
    return '(() => {\n"use strict";\n' + "\n".join(texts) + "})();\n"


def head(script: str) -> str:
    """The first line: what this is, by what it was made, and of which source."""
    digest = hashlib.sha256(script.encode()).hexdigest()[:16]
    by = f"{MINIFIER} {version(MINIFIER)}"
    return f"/* bandit-service, MIT; {by} of web/tag/source {digest} */\n"


def minified(script: str) -> str:
    """The script as browsers get it."""
    import minify  # noqa: PLC0415 - there are no wheels of it for every system

    return head(script) + str(minify.string("text/javascript", script)) + "\n"


def main() -> None:
    """Write the file."""
    made = minified(source())
    (FOLDER / "tag.js").write_text(made, encoding="utf-8")
    print(f"{FOLDER / 'tag.js'}: {len(made):,} bytes")


if __name__ == "__main__":
    sys.exit(main())
