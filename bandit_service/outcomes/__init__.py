"""From decisions and events to outcomes.

``rewards`` says what events are worth, ``join`` puts decisions and their events together.
"""
