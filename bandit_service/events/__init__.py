"""The vocabulary of the log, and the small folds that every reader of it needs.

``entries`` is what the log says, ``identity`` who it speaks of, ``visits`` what is remembered of a
visitor and a placement, ``catalog_history`` what a placement was at a revision.
"""
