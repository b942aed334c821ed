"""The reference for ``decide``: a Flask view that does nothing, on the server that serves us.

    python -m bench.noop PORT WORKERS

The view takes a POST, parses nothing, and returns a small JSON object. The settings of granian are
those of ``bandit_service.web.server``.
"""

from __future__ import annotations

import sys

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels


def worker() -> Flask:
    """The application of one worker process."""
    app = Flask("noop", static_folder=None)

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/decide")
    def decide() -> dict[str, str]:
        return {"variant": "none", "reason": "noop"}

    return app


def serve(port: int, workers: int) -> None:
    """Serve until SIGTERM."""
    Granian(
        "bench.noop:worker",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=8,
        log_level=LogLevels.warning,
        process_name=None,
    ).serve()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
