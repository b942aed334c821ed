"""Reports: an ``Evaluation`` as a page, as Markdown, in a terminal and as JSON.

    Evaluation ──▶ door ──▶ twin ─────────────────▶ RESULT.json ──▶ Evaluation
                     └────▶ words, numbers ──▶ tables ──┬──▶ terminal
                                                        ├──▶ markdown ──▶ NAME.md
                            charts ──────────▶ figures ─┴──▶ page ──────▶ NAME.html

What everything here keeps to:

- **Through the door first.** ``door.admitted`` withholds a value that has no interval, refuses
  numbers that are not numbers, and makes text from outside safe to show.
- **One table, three renderers.** What a row says is decided in ``tables`` alone, so the page, the
  Markdown and the terminal cannot disagree, and none can leave out a sample size.
- **A page of another kind** (a sweep) brings a template that extends ``base.html`` and its own
  tables; ``shell``, ``table``, ``charts`` and the macros of ``parts.html`` know no evaluation.
- **Nothing is worked out here.** A report shows what was evaluated; the only arithmetic is that of
  digits and of differences between two shares.
"""
