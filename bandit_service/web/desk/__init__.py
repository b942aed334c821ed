"""The desk: where a marketing team registers creatives and sees what works for whom, at ``/desk``.

Server-rendered pages (Jinja), one style sheet, a few scripts of our own without a build step. Every
page works without JavaScript; scripts add charts, previews while typing, and numbers that move.
Rejected: a single-page application (a second program, with a build of its own, for pages that are
mostly tables and forms), and a framework from elsewhere (nothing may be fetched from other hosts).

What is held:

- ``routes`` is the one table of what there is, who may ask for it and what it is for; ``gate`` lets
  in by that table, so that a page without a role cannot exist.
- A browser keeps a signed sign-in (``session``) and never a key. A key that is revoked, expires or
  loses its role ends the sign-in at the next request that this process has heard of it for.
- Every POST carries a token of its sign-in. What a POST did is said by the page that it leads to.
- All that is shown passes through Jinja's escaping; no page runs a script that is not a file of
  ours, and ``headers`` tells browsers so.
- Nothing is decided here: the catalog's rules are in ``catalog``, changes in ``serving.editing``,
  numbers and verdicts in ``reporting``. Errors are theirs, shown beside the field they name.
- Numbers are written in the visitor's locale (``writing``), times in the viewer's zone (a script;
  without it, UTC and said so).

A web process answers one request at a time, decisions among them: a page must cost milliseconds.
What every page needs is read from the process's own view of the site, never from the log.

``blueprint`` puts the parts together; one module a page (``overview``, ``placement``, …).
"""
