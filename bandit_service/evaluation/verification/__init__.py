"""May this log be believed? ``verify`` is the fold over its batches, ``kinds`` what can be wrong.

``row_checks`` looks at rows one by one, ``repeated_rows`` for those that are there twice, and
``sample_ratio`` whether arms were shown as often as the log says, by the evidence of ``evidence``
in the cells of ``ratio_cells``.
"""
