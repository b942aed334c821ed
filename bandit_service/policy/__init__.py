"""(context, candidates) → probabilities → a draw.

``features`` writes what the model sees, ``vowpal`` is the only door to Vowpal Wabbit, ``sampling``
turns predictions into exact probabilities and draws, ``chooser`` puts the three together for one
snapshot, ``snapshot`` is the value that learning publishes and serving loads, ``settings`` says
what may be tuned. Learning, serving, explaining and evaluating all go through this code.
"""
