"""The archive: the log in Parquet, for good, and with the stream one log again.

``schema`` is what a row of it says, ``segments`` one file, ``partitions`` the folder of a site,
``archiver`` what moves the log there before the stream is trimmed, ``history`` the archive and the
stream read as one log, ``forgetting`` what takes rows out again: visitors and retention.
"""
