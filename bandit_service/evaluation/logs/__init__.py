"""Readers of logs, ours and others'. ``base`` says what a log is; ``named`` opens one by name.

sources ──▶ noticing ──▶ ours       our own log: joined as the service joins it
examples, actions ─────▶ dsjson     decision-service JSON
mapping ──┐
tables ───┴─▶ columns ─▶ foreign    tables of others, by a mapping of their columns
"""
