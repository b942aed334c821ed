"""What reading a log can find wrong with it; how grave that is, ``verify`` says."""

from __future__ import annotations

from typing import Final

READING_KINDS: Final = {
    "entry_unreadable": "an entry is not what this program writes",
    "row_unreadable": "a row of a table or a line of examples cannot be read",
    "time_backwards": "an entry stands before one that the log had earlier",
    "rows_unordered": "a row of a table was decided before the one above it, or in the file before",
    "partition_overlaps": "two files cover the same stretch of the log",
    "partition_missing": "no file covers a stretch of the log",
    "decision_twice": "a decision is in the log twice",
    "event_twice": "an event is in the log twice",
    "event_late": "an event came when its decision's window had ended",
    "event_without_decision": "an event belongs to no decision of the log",
    "chosen_unknown": "what was shown is not among the candidates",
    "candidates_unknown": "the log does not describe the candidates of a decision",
    "sampled_unevenly": "rows were thinned out, and not all alike",
}
"""Every ``Violation.kind`` that readers use, with its meaning. Rows of ``candidates_unknown``,
``sampled_unevenly`` and ``rows_unordered`` are in their batch all the same; all others are left
out."""
