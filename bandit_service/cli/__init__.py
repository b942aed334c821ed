"""The command line: ``bandit-service COMMAND``.

Every command prints what it did, or one sentence with a hint and a meaningful exit code: 0 done,
1 failed, 2 wrong input or settings, 3 storage, snapshot or data unusable, 4 not found, 5 conflict,
6 a log that must not be believed, or cannot answer.

The commands of offline evaluation are loaded when they are asked for: what they stand on takes a
second and 80 MB, of no use to a service that runs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

import click

from bandit_service.cli.archive import archive, forget
from bandit_service.cli.catalog import catalog
from bandit_service.cli.demo import demo
from bandit_service.cli.export import export, reveal
from bandit_service.cli.inspect import explain, rebuild
from bandit_service.cli.keys import keys
from bandit_service.cli.manage import data, settings_table
from bandit_service.cli.replay import replay
from bandit_service.cli.run import learn, serve
from bandit_service.cli.spool import spool
from bandit_service.errors import BanditError
from bandit_service.printable import printable

OFFLINE: Final = ("verify", "evaluate", "sweep", "report")
"""Commands that are loaded late, each from the module of its name."""


class _Commands(click.Group):
    """Turns the package's errors into one sentence, a hint and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *OFFLINE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in OFFLINE:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"bandit_service.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except BanditError as exc:
            click.echo(f"Error: {printable(exc.message)}", err=True)
            if exc.hint:
                click.echo(f"Hint: {exc.hint}", err=True)
            sys.exit(exc.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bandit-service")
def main() -> None:
    """Pick the thumbnail or headline that a visitor's persona responds to, and learn from it."""


_log = (serve, learn, archive, demo, rebuild, replay, explain, export, reveal, forget)
for _command in (*_log, catalog, keys, spool, data, settings_table):
    main.add_command(_command)
