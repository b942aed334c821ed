"""How much of the headroom any policy can get that sees nothing but clicks.

    optimum of a small game    exact        dynamic programming over what can have been seen
    no policy gets more        relaxed      variants priced one by one (Whittle's relaxation)
                               informed     the same with the future known, at a fair price
    somebody gets as much      index        the finite-horizon Gittins index, simulated

All are about the same ``game``: K variants whose click rates are drawn, each by itself, from a Beta
distribution that the player knows; T impressions; clicks, and nothing else, seen after every step.
What a player is told here (the mean, the spread, the length) no site knows, which can only help: a
bound for this player is one for all. ``newsroom`` weighs the bounds by the tests of the newsroom.

The game is sped up rather than slowed down. News come after every T / ``steps`` impressions, where
a site's come after 100 and later; whoever divides a site's batches among variants in such steps can
do the same here, and look at the news or not. Finer steps let a bound rise further, but little:
``steps`` says how much.
"""
