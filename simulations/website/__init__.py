"""Lantern, the demo's streaming site: a website of its own origin that uses the tag.

``titles`` is what it shows, ``artwork`` draws every picture of it, ``server`` serves both. Neither
the titles nor the pictures are anybody's: they are invented and drawn here.
"""
