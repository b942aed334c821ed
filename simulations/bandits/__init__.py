"""Bandit policies side by side, in worlds whose truth is known.

    world ──batches──▶ race ──▶ player (a rival, or the service itself) ──chosen──▶ race ──▶ tally
                         └──── outcomes, when they are due ────▶ player

``base`` says what a world and a player are; ``worlds/`` and ``rivals/`` have some of each, ``ours``
plays with the real serving and learning code over a store in memory, and ``live`` with the service
over HTTP and Redis. ``race`` runs one player through one world, ``study`` many in parallel, and
``table`` says what came out; ``claims`` measures how soon a player adapts. Everything follows from
a seed, and every player meets the same visitors, with the same luck.
"""
