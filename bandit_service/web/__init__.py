"""HTTP: from bytes to domain calls and back, and nothing else.

``routes`` is the one table of what there is; ``hot`` answers the two calls that visitors wait for
ahead of Flask, ``api`` and the blueprints beside it everything else with Flask: ``media`` shows
pictures, ``tag`` the script of web pages, ``mail`` what e-mails link to; ``openapi`` describes the
table; ``desk`` is what people see, with a table of its own; ``metrics`` counts; ``server`` runs it
all in processes, each of them a ``worker``.
"""
