"""What the service is built from: pinned, hashed, and asked about."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
CLEAN = {"name": "click", "version": "8", "vulns": []}
HOLE = {"name": "flask", "version": "3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["4"]}]}
UNKNOWN = {"name": "ours", "skip_reason": "not on the index"}


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answering(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[list[str]]:
    """Let pip-audit find these things, or fail in these words, one call after another."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        answer = answers[len(calls)]
        calls.append(command)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            return subprocess.CompletedProcess(command, 1, "", answer)
        return subprocess.CompletedProcess(command, 0, json.dumps({"dependencies": answer}), "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_every_requirement_is_pinned_and_hashed(audit: ModuleType) -> None:
    # given
    lock = LOCK.read_text(encoding="utf-8")
    requirements = audit.pinned(lock)

    # then
    assert len(requirements) == len(re.findall(r"^[^#\s]", lock, re.MULTILINE)) > 50
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", requirement)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement)
        assert "://" not in requirement


def test_nothing_known_is_said_and_passes(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = answering(monkeypatch, [CLEAN], [CLEAN, UNKNOWN])

    assert audit.main(LOCK) is None

    assert "1 packages audited, 0 known holes" in (said := capsys.readouterr().out)
    assert "not audited: ours" in said
    for call in calls:
        assert {"--require-hashes", "--disable-pip"} <= set(call)


def test_a_known_hole_fails_by_name_with_its_remedy(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, [CLEAN], [CLEAN, HOLE])

    assert audit.main(LOCK) == "  flask 3: PYSEC-1, fixed in 4"


@pytest.mark.parametrize(
    "silence",
    [
        "pip_audit._service.interface.ConnectionError: Could not connect to PyPI",
        "requests.exceptions.ProxyError: HTTPSConnectionPool",
        subprocess.TimeoutExpired("pip-audit", 20),
        [UNKNOWN],
    ],
    ids=["no connection", "a proxy", "too slow", "a mirror without advisories"],
)
def test_a_source_that_does_not_answer_is_said_and_passes(
    audit: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    silence: Any,
) -> None:
    calls = answering(monkeypatch, silence)

    assert audit.main(LOCK) is None

    assert "no advisory source is reachable" in capsys.readouterr().out
    assert len(calls) == 1


def test_a_failure_of_the_audit_itself_is_no_silence(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "ERROR: requirements.txt: hash missing")

    with pytest.raises(SystemExit, match="hash missing"):
        audit.main(LOCK)
