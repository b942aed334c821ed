"""HTTP: from bytes to domain calls and back, and nothing else.

``routes`` is the one table of what there is; ``hot`` answers the two calls that visitors wait for
ahead of Flask, ``media`` shows pictures and ``api`` answers everything else, with Flask;
``openapi`` describes the table; ``metrics`` counts; ``server`` runs it all in processes, each of
them a ``worker``.
"""
