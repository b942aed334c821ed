"""The folds that count, and what is read from their sums.

    counting    Counters ──one a placement──▶ PlacementSums (columns, lineups, series) ──▶ stored
    reading     stored ──▶ tables ──▶ estimates (sequences) ──▶ overview, placement, personas, tags
    saying      words: every verdict as a sentence, for the desk and the API alike

*What is counted.* Outcomes, in the order in which their units were opened: a unit that is rewarded
waits until those before it are closed (``placement_sums``). A click is known at once and that there
was none only when the window ends; counted as they come, the latest visits would all be clicks.
What is merely ``shown`` and ``rewarded`` is counted at once, and no rate is made of it.

*What makes a rate honest.* A variant is shown most to whom it suits, so the mean of what it earned
is not what it would earn. Each unit counts by 1 / its logged propensity (``estimates``), and
variants are compared only over visits in which either could have been shown (``lineups``).

*What makes an interval honest.* An editor looks every day, and stops looking when something is to
be seen. All intervals are confidence sequences (``sequences``): they hold at all times at once.
``python -m simulations watching`` measures how often each fails in worlds whose truth is known.

``visitors`` remembers who saw what.
"""
