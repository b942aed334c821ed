"""The log, snapshots, catalog and counters in Redis, and the server that holds them by default."""
