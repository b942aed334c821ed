"""Policies to be evaluated. ``base`` says what one is; ``named`` makes one of words."""
