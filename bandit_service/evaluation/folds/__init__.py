"""What is summed up of a log: exact, mergeable, of bounded memory.

``sums`` are exact sums, ``keyed_sums`` the same for cells that come up on the way. On them stand
the folds: ``estimates`` of one estimator, ``parts`` of it by a name, ``weights``, ``shares``.
``ratio`` is what intervals get to see.
"""
