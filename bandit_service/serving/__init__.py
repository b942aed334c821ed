"""The request path: what a website asks and is answered.

``requests`` are the wire's bodies and their limits, ``context`` what is made of them, ``view`` what
a process knows of a site, ``decide`` and ``intake`` the two things it does: answer, and take in
events. ``crawlers`` tells who is no visitor, and ``canonical`` answers those; ``pressure`` says how
busy a process is. ``editing`` changes the catalog.
"""
