"""The folds that count.

``counters`` counts outcomes by variant and persona, ``visitors`` remembers who saw what.
"""
