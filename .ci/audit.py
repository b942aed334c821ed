"""Whether what ``requirements.lock`` names is known to be vulnerable; run by ``make check``.

pip-audit asks the Python Package Index about the pinned versions, as the lock has them: nothing is
resolved or installed. A known vulnerability fails. A source that cannot be reached, or that knows
none of these packages (a mirror without advisories), does not: one sentence says so. The first
package is asked about alone, so that such a source costs seconds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FIRST_SECONDS = 20
ALL_SECONDS = 300
UNREACHABLE = re.compile(
    r"could not connect|ConnectionError|requests\.exceptions|ServiceError|timed out", re.IGNORECASE
)

Dependencies = list[dict[str, Any]]


def main(lock: Path) -> str | None:
    """Print the verdict; a text for ``sys.exit`` if there is something to mend."""
    first = pinned(lock.read_text(encoding="utf-8"))[0]
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "requirements.txt"
        alone.write_text(first, encoding="utf-8")
        known = asked(alone, FIRST_SECONDS)
    if not any("vulns" in dependency for dependency in known or []):
        print("pip-audit: no advisory source is reachable from here, so nothing was audited")
        return None
    found = asked(lock, ALL_SECONDS)
    if found is None:
        print("pip-audit: the advisory source stopped answering, so nothing was audited")
        return None
    return verdict(found)


def pinned(lock: str) -> list[str]:
    """The requirements of a lock file, each with its hashes."""
    return re.findall(r"^[A-Za-z0-9].*(?:\n[ \t]+--hash.*)*", lock, re.MULTILINE)


def asked(requirements: Path, seconds: float) -> Dependencies | None:
    """What pip-audit says of some requirements; None if it could not reach its source.

    Raises:
        SystemExit: if it failed for a reason of its own.
    """
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements)),
        *("--require-hashes", "--disable-pip", "--progress-spinner", "off"),
        *("--timeout", "5", "--format", "json"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        dependencies: Dependencies = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return None
    except ValueError:
        if UNREACHABLE.search(done.stderr):
            return None
        sys.exit(f"pip-audit failed:\n{done.stderr}")
    return dependencies


def verdict(found: Dependencies) -> str | None:
    """Print what was audited; the vulnerabilities, if there are any."""
    holes = [
        f"  {one['name']} {one['version']}: {hole['id']}, fixed in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in found
        for hole in one.get("vulns", ())
    ]
    unknown = [one["name"] for one in found if "vulns" not in one]
    print(f"pip-audit: {len(found) - len(unknown)} packages audited, {len(holes)} known holes")
    if unknown:
        print(f"pip-audit: not known to the source, so not audited: {', '.join(unknown)}")
    return "\n".join(holes) or None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "requirements.lock")))
