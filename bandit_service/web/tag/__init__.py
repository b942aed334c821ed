"""The website's tag: the script that shows on a page what was decided for its visitor.

``source/`` is the tag as people read it, ``tag.js`` as browsers get it (``make tag``), ``script``
what is served, and ``views`` where.
"""
