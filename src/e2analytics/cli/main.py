"""The command line: parses, calls one function, prints one summary.

Each verb is a function of its own name in a module of its own name, which ``VERBS`` lists; ``<verb>_view``
prints its results. Progress and messages go to standard error, results to standard
output. The terminal may name the files that its user gave; nothing here names a patient. What a verb
needs is imported when it runs, so that ``--help`` does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import typer

from e2analytics.cli.terminal import print_on_any_terminal
from e2analytics.errors import E2AnalyticsError, UnforeseenError, is_stop

# In the order of ``--help``.
VERBS: Final = (
    "init",
    "run",
    "ingest",
    "fit",
    "flag",
    "worklist",
    "report",
    "export",
    "inspect",
    "crosswalk",
    "returns",
    "status",
    "store",
    "simulate",
    "schemas",
    "limits",
)

# Rich tracebacks can print local variables: patients.
app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    help="Find the men on testosterone whose anastrozole pushes estradiol below a protective range.",
    epilog="A message says where, which rule, how many and what to do next. Exit codes: 0 done, 2 "
    "wrong usage, 10 unreadable, 11 published without a file, 12 too little data, 13 store, "
    "14 configuration or key, 130 or 143 ended from outside, 1 unforeseen.",
)

for _name in VERBS:
    _verb = getattr(import_module(f"e2analytics.cli.{_name}"), _name)
    if isinstance(_verb, typer.Typer):
        app.add_typer(_verb, name=_name)
    else:
        app.command(_name)(_verb)


def main() -> None:
    """Run the command line, turning our own errors into exit codes."""
    print_on_any_terminal()
    try:
        app(prog_name="e2analytics")
    except E2AnalyticsError as error:
        _stop(error)
    except BaseException as error:  # a panic of polars or Delta Lake is no Exception
        if is_stop(error):
            raise
        # Whatever this is, its message may hold a value of a patient.
        _stop(UnforeseenError.at("e2analytics", error))


def _stop(error: E2AnalyticsError) -> None:
    typer.echo(f"{type(error).__name__}: {error}", err=True)
    raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
