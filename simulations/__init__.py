"""Simulated worlds whose truth is known, to watch the service learn and to measure how well."""
