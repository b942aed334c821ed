"""Benchmarks: each measures the service beside a reference, in alternation, on one machine.

``decide`` and ``freshness`` run the real processes, ``fold``, ``evaluate`` and ``price`` the real
code in this process. Figures of one run say little on a shared machine; ratios against the
reference, measured in alternation, say more, and every ratio comes with its least and largest
round. ``memory`` says what it takes to evaluate a long log, which must not depend on how long it
is. ``soak`` compares nothing and is run when asked for: it watches memory under twice the
sustainable load.

    python -m bench [decide] [freshness] [fold] [evaluate] [memory] [price] [outage] [soak]
                    [--quick] [--json FILE]
"""
