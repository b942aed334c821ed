"""Visitors from outside: an audience whose truth is known, and the log of a real one."""
