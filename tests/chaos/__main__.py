"""``python -m tests.chaos``: kill processes of a service under traffic, then audit its log."""

from __future__ import annotations

import sys

import click

from bandit_service.cli.processes import terminated_as_interrupt
from tests.chaos import harness
from tests.chaos.killer import NotBackError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kills", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Chooses victims and moments.")
def main(kills: int, seed: int) -> None:
    """Kill so many processes of a service under traffic, and audit what is left.

    Exit code 1 if anything acknowledged is lost, doubled or wrong.

    \b
    Example: python -m tests.chaos --kills 100 --seed 7
    """
    with terminated_as_interrupt():
        try:
            result = harness.run(kills=kills, seed=seed, told=click.echo)
        except NotBackError as exc:
            click.echo(f"chaos: {exc}", err=True)
            sys.exit(1)
    click.echo(str(result))
    sys.exit(0 if result.clean else 1)


if __name__ == "__main__":
    main()
