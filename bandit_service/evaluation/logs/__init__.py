"""Readers of logs, ours and others'. ``base`` says what a log is; ``named`` opens one by name."""
