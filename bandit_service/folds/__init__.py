"""The folds of a site put together, and what is done with them.

``site`` is the one fold that live learning, rebuilding, explaining and offline replay all run;
``learner`` runs it behind the live log (``learning_loop``: those of all sites), ``rebuild`` over
the whole log, ``explain`` over as much of it as one decision needs.
"""
