"""``python -m bandit_service``: the command line without its installed name."""

from bandit_service.cli import main

main()
