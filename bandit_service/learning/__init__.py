"""The fold that trains: outcomes in, a better model out (``trainer``)."""
