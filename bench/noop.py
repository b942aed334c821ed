"""The reference for ``decide``: a Flask view that does nothing, on the server that serves us.

    python -m bench.noop PORT WORKERS

The view takes a POST, parses nothing, and returns a small JSON object.
"""

from __future__ import annotations

import sys

from flask import Flask

from bandit_service.web.server import serve


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


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    serve("bench.noop:worker", host="127.0.0.1", port=port, workers=workers)
