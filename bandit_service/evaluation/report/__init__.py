"""Reports: an ``Evaluation`` as a page, as Markdown and as JSON."""
