"""The folds that count: outcomes by variant and persona (``counters``), visits of visitors (``visitors``)."""
