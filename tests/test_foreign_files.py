"""Files from outside, damaged at will: each is read, or refused by name and with a hint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit_service.catalog.document import read_document, write_document
from bandit_service.datasets import OBD_RELEASE, load_obd
from bandit_service.errors import BanditError
from bandit_service.policy.settings import read_settings
from bandit_service.serving.editing import CatalogEditor
from bandit_service.settings import read_service_settings
from bandit_service.storage.memory import MemoryStore

CONFIG = Path(__file__).parents[1] / "config"
CATALOG_TOML = (CONFIG / "catalog.toml").read_bytes()
CATALOG_JSON = msgspec.json.encode(read_document(CATALOG_TOML, name="catalog.toml"))
SITE_TOML = (CONFIG / "site.toml").read_bytes()
SERVICE_TOML = (CONFIG / "service.toml").read_bytes()

SPLICES = st.sampled_from(
    [
        *(b"[" * 5_000, b'{"a":' * 5_000, b"9" * 5_000, b"-1e999", b"nan", b"1979-05-27", b"\xff"),
        *(b"\x00", b"\\ud800", b"\xed\xa0\x80", b"'''", b'"', b"\n[[placements]]\n", b"= {", b"]"),
        *(b"true", b"null", b"-0.0", b"0x7fffffffffffffffff", b"\r", b"\xef\xbb\xbf", b"#", b","),
    ]
) | st.binary(max_size=12)
"""What is put into a document: limits of parsers, syntax, and noise."""


@st.composite
def mutated(draw: st.DrawFn, document: bytes) -> bytes:
    """``document`` with a few pieces cut, doubled or replaced."""
    data = document
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.sampled_from([0, 0, 1, 3, 40])))
        data = data[:at] + draw(SPLICES) + data[until:]
    return data


def refused_cleanly(read: Callable[[], object]) -> None:
    """Whether it works, or fails as our errors do; anything else is the test's failure."""
    refusal = None
    try:
        read()
    except BanditError as exc:
        refusal = exc
    assert refusal is None or (refusal.message and refusal.hint)


def imported(data: bytes, name: str) -> None:
    """Read a catalog as ``catalog import`` does, and what it became as the next export."""
    document = read_document(data, name=name)
    editor = CatalogEditor(MemoryStore().site("main"), by="test", clock=lambda: 1)
    editor.put_document(document)
    exported = write_document(editor.personas(), editor.placements())
    read_document(exported, name="catalog.json")


@given(mutated(CATALOG_TOML) | st.binary(max_size=200))
@settings(max_examples=150)
def test_a_catalog_in_toml_is_read_or_refused(data: bytes) -> None:
    refused_cleanly(lambda: imported(data, "catalog.toml"))


@given(mutated(CATALOG_JSON) | st.binary(max_size=200))
@settings(max_examples=200)
def test_a_catalog_in_json_is_read_or_refused(data: bytes) -> None:
    refused_cleanly(lambda: imported(data, "catalog.json"))


@given(mutated(SITE_TOML) | st.binary(max_size=200))
@settings(max_examples=200)
def test_the_settings_of_a_site_are_read_or_refused(data: bytes) -> None:
    refused_cleanly(lambda: read_settings(data, name="site.toml"))


@given(mutated(SERVICE_TOML) | st.binary(max_size=200))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_settings_of_the_processes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "service.toml").write_bytes(data)

    refused_cleanly(lambda: read_service_settings({}, {"config_dir": str(tmp_path)}))


@pytest.mark.parametrize("data", [b"a = " + b"[" * 100_000, b"a = " + b"9" * 5_000])
def test_what_breaks_the_parser_itself_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "service.toml").write_bytes(data)

    for read in (
        lambda: read_document(data, name="catalog.toml"),
        lambda: read_document(b"[" * 100_000, name="catalog.json"),
        lambda: read_settings(data, name="site.toml"),
        lambda: read_service_settings({}, {"config_dir": str(tmp_path)}),
    ):
        with pytest.raises(BanditError) as caught:
            read()
        assert caught.value.hint


ITEMS = b",item_id,item_feature_0,item_feature_1\n0,3,-0.5,a1\n"
ROWS = b",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
LOG = ROWS + b"0,2019-11-24 00:00:23.800000+00:00,3,1,1,0.02,u1\n"


@given(mutated(ITEMS), mutated(LOG))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_data_set_of_another_shape_is_read_or_refused(
    tmp_path: Path, items: bytes, log: bytes
) -> None:
    # given files that are whole and verified, and hold anything
    files = {"random/men/item_context.csv": items, "random/men/men.csv": log}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    release = msgspec.structs.replace(OBD_RELEASE, files=sums)

    # then
    refused_cleanly(lambda: load_obd("men", "random", tmp_path, release=release))
