"""Many policies on one log: which to adopt, and how much to explore.

``grid`` says what to try, ``sweep`` tries it: a pass each (``passes``) in processes (``parallel``),
ranked by the first rows (``ranking``), the winner judged on the last (``verdict``). ``advice``
weighs the ways to explore of ``options``. ``results`` is what comes of it.
"""
