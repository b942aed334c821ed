"""The service behind https, as a proxy in front of it offers it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bandit_service.client import DEFAULT, Client
from bandit_service.errors import NoAnswer
from tests.client.conftest import KEY, Serve, Took
from tests.client.servers import ANSWER, Server, decides, hangs, trickles


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key, for ``localhost``."""
    program = shutil.which("openssl")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not on PATH")
        pytest.skip("openssl is not on PATH")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    public = path.with_suffix(".crt")
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {path} -out {public}"
    )
    subprocess.run([program, *words.split()], check=True, capture_output=True, timeout=60)
    path.write_bytes(path.read_bytes() + public.read_bytes())
    return path


@pytest.fixture
def serve(certificate: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*behaviours: object) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        made.append(Server(behaviours, tls=context))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    """What verifies that certificate."""
    return ssl.create_default_context(cafile=str(certificate))


def test_requests_share_a_verified_connection(serve: Serve, trusting: ssl.SSLContext) -> None:
    server = serve(decides)
    url = f"https://localhost:{server.port}"
    with (
        Client(url, KEY, deadline=5.0, tls=trusting, strict=True) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        assert list(threads.map(lambda _: client.decide("film"), range(50))) == [ANSWER] * 50

    assert len(server.requests) == 50
    assert server.connections <= 2


@pytest.mark.parametrize("behaviour", [hangs, trickles])
def test_nobody_waits_beyond_the_deadline(
    serve: Serve, trusting: ssl.SSLContext, behaviour: object
) -> None:
    url = f"https://localhost:{serve(behaviour).port}"
    with Client(url, KEY, deadline=0.2, tls=trusting) as client, Took() as took:
        assert client.decide("film").reason == DEFAULT

    assert took.seconds < 2.0


def test_nobody_waits_for_a_handshake(trusting: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}"
        with Client(url, KEY, deadline=0.2, tls=trusting) as client, Took() as took:
            assert client.decide("film").reason == DEFAULT
        assert client.counts.defaults == {"timeout": 1}

    assert took.seconds < 2.0


def test_who_cannot_be_verified_gets_no_key(serve: Serve) -> None:
    server = serve(decides)
    url = f"https://localhost:{server.port}"
    with (
        Client(url, KEY, deadline=5.0, strict=True) as client,
        pytest.raises(NoAnswer, match="certificate verify failed"),
    ):
        client.decide("film")

    assert server.requests == []
