"""HTTP: from bytes to domain calls and back, and nothing else.

``routes`` is the one table of what there is; ``hot`` answers the two calls that visitors wait for
ahead of Flask, ``api`` everything else with Flask; ``openapi`` describes the table; ``metrics``
counts; ``server`` runs it all in worker processes.
"""

from bandit_service.web.app import create_app

__all__ = ["create_app"]
