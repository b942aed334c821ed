"""Offline evaluation: what another policy would have earned on a log, and how far to trust that.

    logs/ ──▶ Batch ──▶ verification/ ────────▶ may this log be believed?     first reading
                ├─────▶ reward_model           (``survey`` has both)
                └─────▶ targets/ ──▶ Terms ──▶ folds/  for each policy        second reading
                                                 └──▶ intervals/ ──▶ judge ──▶ results ──▶ report/

``evaluate`` runs the two readings; ``sweeping/`` does so for many policies.

What everything here keeps to:

- **One reading, bounded memory.** A log is a stream of batches; nothing is kept of a row but sums.
- **Exact sums.** Every sum is exact (``folds.sums``), so folds merge to the same bytes in any order
  and any partition. What is computed of a row depends on that row alone.
- **The service's own code.** Rewards are those of ``outcomes.join``, probabilities those of
  ``policy.chooser``, learning that of ``learning.trainer``: there is no second copy here.
- **No number without its doubt.** A result has its rows, effective sample size, largest weight and
  interval, or it is refused and says why.
- **What a log cannot answer is refused**: bad propensities by ``verify``, a policy that the log
  never came near by the effective sample size.

A *target* is a policy to be evaluated. A row is one closed decision with its reward; its *weight*
is the target's probability of what was shown over the logged one. A *cluster* is what may depend on
each other: the rows of one visitor.
"""
