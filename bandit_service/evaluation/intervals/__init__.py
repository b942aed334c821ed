"""How far an estimate may be off: intervals, each with what it needs to hold.

==================== ============================================================ ==================
interval             holds if                                                     for
==================== ============================================================ ==================
clopper-pearson      rows are independent; rewards are 0 or one value; all        ips, snips, replay
                     weights above 0 are alike. Exact.
normal               visitors are independent and many, none weighs too much      all but dm
bootstrap            as normal; follows skewed sums better                        all but dm
empirical-bernstein  rows are independent and alike in distribution. Any n.       clipped-ips
anytime              draws were made as logged, each anew. Any n, any stopping,   ips
                     policies that learned while logging.
==================== ============================================================ ==================

``chooser`` says which of them an estimator may show of a log, and ``simulations.coverage`` measures
how often they hold.
"""
