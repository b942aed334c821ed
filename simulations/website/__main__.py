"""``python -m simulations.website``."""

from simulations.website.server import main

main()
