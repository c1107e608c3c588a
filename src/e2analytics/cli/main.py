"""The command line: parses, calls one function, prints one summary.

Progress and messages go to standard error, results to standard output. The terminal may name the
files that its user gave; nothing here names a patient. What a verb needs is imported when it runs, so
that ``--help`` does not wait for it.
"""

from __future__ import annotations

import enum
import os
import signal
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e2analytics.errors import (
    EXIT_INCOMPLETE,
    EXIT_TERMINATED,
    ConfigurationError,
    E2AnalyticsError,
    TooLittleDataError,
    UnforeseenError,
    UnreadableError,
    is_stop,
)

if TYPE_CHECKING:
    from e2analytics.run.job import Done, Part

# Rich tracebacks can print local variables: patients.
app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    help="Find the men on testosterone whose anastrozole pushes estradiol below a protective range.",
    epilog="A message says where, which rule, how many and what to do next. Exit codes: 0 done, 2 "
    "wrong usage, 10 unreadable, 11 published without a refused file, 12 too little data, 13 store, "
    "14 configuration or key, 130 or 143 ended from outside, 1 unforeseen.",
)
limits_app = typer.Typer(no_args_is_help=True, help="The limit of E2 that flags are judged by.")
app.add_typer(limits_app, name="limits")


def _as_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


def _as_month(text: str) -> str:
    try:
        return f"{date.fromisoformat(f'{text}-01'):%Y-%m}"
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a month; write YYYY-MM") from None


def _not_empty(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("give a folder or an address; it is empty")
    return text


StoreOption = Annotated[
    str, typer.Option("--store", callback=_not_empty, help="Folder or address of the store.")
]
AsOfOption = Annotated[
    date | None,
    typer.Option(
        "--as-of", parser=_as_date, metavar="DATE", help="Judge as of this day; by default today."
    ),
]
PublishedOption = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        parser=_as_date,
        metavar="DATE",
        help="As published for this day or the last one before it; by default the newest run.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file; by default e2analytics.toml, if there.")
]
PreviewOption = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show whose status or tier would change, by default as of the newest run's day; publish nothing.",
    ),
]
DropOption = Annotated[Path, typer.Option("--drop", help="Folder of suppliers' files.")]
DEFAULT_STORE = "store"


@app.command()
def run(
    drop: DropOption,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    refit: Annotated[bool, typer.Option("--refit", help="Fit anew, whatever the month.")] = False,
) -> None:
    """Run the whole nightly flow, in Prefect, once: read, check, fit, flag, publish."""
    from e2analytics.cli.prefect_environment import prepare_prefect
    from e2analytics.cli.terminal import print_done, progress_bar
    from e2analytics.run import progress
    from e2analytics.run.job import Job, check
    from e2analytics.settings import read_settings

    day = as_of or date.today()
    # A mistake need not wait for Prefect.
    check(Job(store=store, as_of=day, settings=read_settings(config), drop=drop))
    # An orderly exit also ends the server that Prefect started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    with progress_bar() as tell:
        tell(_prefect_starts())
        prepare_prefect()
        _check_prefect_server()
        from flows.nightly import nightly

        with progress.watched_by(tell):
            done = nightly(
                drop=str(drop),
                store=store,
                as_of=day,
                config=str(config) if config else None,
                refit=refit,
            )
    print_done(done, store)
    _exit_if_incomplete(done)


def _prefect_starts() -> str:
    # The terminal shows progress and a summary; a deployment's log keeps what Prefect says.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    if os.environ.get("PREFECT_API_URL"):
        return "Connecting to Prefect"
    return (
        "Starting a Prefect server for this run (about 15 s; PREFECT_API_URL names a running one)"
    )


def _check_prefect_server() -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return
    with get_client(sync_client=True) as client:
        if client.api_healthcheck() is not None:
            raise ConfigurationError(
                "No Prefect server answers at the address in PREFECT_API_URL. Start it, mend the address, "
                "or unset PREFECT_API_URL: then a server is started for this run alone. Nothing was read."
            )


def _exit_if_incomplete(done: Done) -> None:
    if done.outputs.outcome == "incomplete":
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def ingest(
    drop: Annotated[Path, typer.Argument(help="Folder of suppliers' files.")],
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
) -> None:
    """Only read a drop: check its rows and publish them; nothing is fitted or flagged."""
    _one_part("ingest", store, as_of, config, drop=drop)


@app.command()
def fit(
    store: StoreOption = DEFAULT_STORE, as_of: AsOfOption = None, config: ConfigOption = None
) -> None:
    """Fit the curves anew to what the store holds, and flag with them."""
    done = _one_part("fit", store, as_of, config)
    summary = done.outputs.tables["curve_summary"]
    if summary["verdict"].is_null().all():
        reasons = "; ".join(summary["why_not"].unique().sort())
        raise TooLittleDataError(f"No curve could be fitted: {reasons}")


@app.command(name="flag")
def flag_(
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    preview: PreviewOption = False,
) -> None:
    """Only flag: judge the men that the store holds as of a day."""
    if preview:
        _preview(store, as_of, config)
    else:
        _one_part("flag", store, as_of, config)


def _preview(
    store: str, as_of: date | None, config: Path | None, *, adopt: str | None = None
) -> None:
    from e2analytics.cli.terminal import print_preview
    from e2analytics.run import job
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    _, published = open_published(store, as_of)
    asked = job.Job(
        store=store,
        # Of the day that was published: then only what was changed differs.
        as_of=as_of or published["as_of"],
        settings=read_settings(config),
        part="flag",
        adopt=adopt,
    )
    print_preview(job.preview(asked))


@app.command()
def worklist(
    file: Annotated[
        Path, typer.Option("-o", "--output", help="CSV file to write; Excel if it ends in .xlsx.")
    ],
    store: StoreOption = DEFAULT_STORE,
    as_of: PublishedOption = None,
) -> None:
    """Write the men with an open flag, what each rests on and what is missing; for the clinic alone."""
    from e2analytics.cli.terminal import err
    from e2analytics.report import worklist as lists
    from e2analytics.store.store import open_published

    if file.suffix.lower() not in (".csv", ".xlsx"):
        raise typer.BadParameter("give a file that ends in .csv or .xlsx")
    opened, published = open_published(store, as_of)
    rows = lists.worklist({name: opened.table(name, published) for name in lists.TABLES})
    lists.write(rows, file, published["as_of"])
    err.print(
        f"{len(rows):,} men with an open flag, {published['run_id']} as of {published['as_of']}; values of "
        f"patients, for the clinic alone: {file}"
    )


def _one_part(
    part: Part,
    store: str,
    as_of: date | None,
    config: Path | None,
    *,
    drop: Path | None = None,
    adopt: str | None = None,
) -> Done:
    from e2analytics.cli.terminal import print_done, progress_bar
    from e2analytics.run.job import Job, perform
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    if drop is None:
        open_published(store)
    job = Job(
        store=store,
        as_of=as_of or date.today(),
        settings=read_settings(config),
        drop=drop,
        part=part,
        adopt=adopt,
    )
    with progress_bar() as tell:
        done = perform(job, tell=tell)
    print_done(done, store)
    _exit_if_incomplete(done)
    return done


@app.command()
def report(
    month: Annotated[
        str, typer.Option("--month", parser=_as_month, metavar="YYYY-MM", help="A complete month.")
    ],
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; needed without --compare.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="RUN_OR_MONTH",
            help="Say which numbers differ from another month's or run's, and why.",
        ),
    ] = None,
) -> None:
    """Write the monthly reports as HTML, PDF and workbook, from the run as of the month's last day."""
    from e2analytics.cli.terminal import bar_of_versions, print_comparison, print_reports
    from e2analytics.run.monthly import compare_reports, write_reports

    if out_folder is None and compare is None:
        raise typer.BadParameter("give a folder with --out, or what to --compare with")
    if out_folder is not None:
        with bar_of_versions() as told:
            written = write_reports(store, month, out_folder, told)
        print_reports(written)
    if compare is not None:
        print_comparison(compare_reports(store, month, compare))


class Format(enum.StrEnum):
    """What ``export`` can write."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="Name of a table, as in schemas/contracts/.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    store: StoreOption = DEFAULT_STORE,
    format: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.csv,
    as_of: PublishedOption = None,
) -> None:
    """Write a table of the store to a file, as it is or as it was as of a day."""
    from e2analytics.cli.terminal import err
    from e2analytics.store.store import open_published
    from e2analytics.tables.contracts import TABLES

    if table not in TABLES:
        raise typer.BadParameter(f"there is no table {table}; there are {', '.join(TABLES)}")
    opened, published = open_published(store, as_of)
    frame = opened.table(table, published)
    try:
        match format:
            case Format.csv:
                frame.write_csv(file)
            case Format.parquet:
                frame.write_parquet(file)
            case Format.json:
                frame.write_json(file)
    except OSError as error:
        raise UnreadableError(
            f"{file} cannot be written ({error.strerror or 'no such folder'})."
        ) from None
    err.print(
        f"{len(frame):,} rows of {table}, {published['run_id']} as of {published['as_of']}: {file}"
    )


@app.command()
def inspect(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files, looked at together as one drop."),
    ],
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show the first rows: values of patients.")
    ] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=1, max=100, help="Rows that --show-values shows.")
    ] = 5,
    draft: Annotated[
        Path | None, typer.Option("--draft", help="New file for the draft of an unknown layout.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say which feed a file is, how it is mapped and what would become of its rows; loads nothing."""
    from e2analytics.cli.inspect_view import exit_code, reading, show
    from e2analytics.cli.terminal import out
    from e2analytics.run import inspect as inspection
    from e2analytics.settings import read_settings

    settings = read_settings(config)
    with reading() as tell:
        found = inspection.inspect(
            files,
            settings,
            today=date.today(),
            rows_shown=rows if show_values else 0,
            tell=tell,
        )
    show(found, out, draft)
    raise typer.Exit(exit_code(found))


@app.command()
def crosswalk(
    file: Annotated[
        Path, typer.Option("-o", "--output", help="New CSV file, for its owner alone.")
    ],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write whose pseudonym is whose, for the clinic's own use; needs the key, leaves an audit line."""
    from e2analytics.cli.terminal import err
    from e2analytics.key import read_key
    from e2analytics.store.crosswalk import export as export_crosswalk
    from e2analytics.store.store import open_published

    opened, published = open_published(store)
    key = read_key(simulated=published["simulated"])
    rows = export_crosswalk(opened, key, file)
    err.print(
        f"{rows:,} patients, readable by you alone; delete it when it is no longer needed: {file}"
    )


@app.command()
def returns(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    store: StoreOption = DEFAULT_STORE,
    run_id: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Of one run only, such as run-000001."),
    ] = None,
) -> None:
    """Write what each supplier is asked to mend: lines, rules and advice; no value and no name."""
    from e2analytics.cli.terminal import out
    from e2analytics.ingest.corrections import write
    from e2analytics.store.store import open_published

    opened, published = open_published(store)
    if run_id is not None and run_id not in opened.runs()["run_id"]:
        raise typer.BadParameter(f"there is no run {run_id}; see e2analytics status")
    quarantine, files = (opened.table(name, published) for name in ("quarantine", "files"))
    for file in write(quarantine, files, out_folder, run_id=run_id):
        out.print(f"{file}")


@app.command()
def status(store: StoreOption = DEFAULT_STORE, config: ConfigOption = None) -> None:
    """Show the last runs, row counts, freshness of each feed, the limit in use and open flags."""
    from e2analytics.cli.store_view import print_status
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    print_status(*open_published(store), read_settings(config))


@limits_app.command("show")
def limits_show(store: StoreOption = DEFAULT_STORE, config: ConfigOption = None) -> None:
    """Show the fitted limits beside the one in use."""
    from e2analytics.cli.store_view import print_limits
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    print_limits(*open_published(store), read_settings(config))


@limits_app.command("adopt")
def limits_adopt(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the limit.")] = "",
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    preview: PreviewOption = False,
) -> None:
    """Take the fitted limit into use from this day on, and flag by it."""
    from e2analytics.cli.store_view import print_limit_in_use
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    if preview:
        _preview(store, as_of, config, adopt="preview")
        return
    if not reason.strip():
        raise typer.BadParameter("give a --reason; it is kept with the limit")
    _one_part("flag", store, as_of, config, adopt=reason.strip())
    print_limit_in_use(*open_published(store), read_settings(config))


class Shape(enum.StrEnum):
    """Truths that ``simulate`` can plant."""

    u = "u"
    threshold = "threshold"
    rising = "rising"
    flat = "flat"


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder to write drop/ and truth/ to.")],
    patients: Annotated[int, typer.Option("--patients", help="Men.")] = 600,
    shape: Annotated[Shape, typer.Option("--shape", help="True curve.")] = Shape.threshold,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same files.")] = 20260930,
    on_drug_share: Annotated[
        float, typer.Option("--on-drug-share", help="Men on anastrozole; 0.03 is general practice.")
    ] = 0.35,
    effect: Annotated[
        float, typer.Option("--effect", help="Loss at E2 <= 10 pg/mL, %/year; 1.0 is weak.")
    ] = 2.5,
    sample: Annotated[
        bool, typer.Option("--sample", help="Write the sample of the repository instead.")
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Write the drop in this format, too; repeat it for more."),
    ] = None,
) -> None:
    """Write a cohort with a known truth: synthetic files only."""
    from e2analytics.cli.terminal import out
    from e2analytics.simulate import SimulationSettings, write_sample
    from e2analytics.simulate import simulate as write_cohort
    from e2analytics.simulate.exports import write_exports

    try:
        settings = SimulationSettings(
            patients=patients,
            shape=shape.value,
            seed=seed,
            on_drug_share=on_drug_share,
            effect_pct_per_year=effect,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        made = write_sample(folder) if sample else write_cohort(folder, settings)
        also = write_exports(folder / "exports", made.drop, formats or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be written ({error.strerror}).") from None
    rows = sum(sum(fates.values()) for fates in made.rows.values())
    out.print(
        f"{made.men:,} men, {made.men_on_drug:,} on anastrozole, {made.men_attributable:,} pushed "
        f"below 16 pg/mL by it; {rows:,} rows. Drop: {made.drop}   Truth: {made.truth}"
    )
    for each in also:
        out.print(f"{each}")


@app.command()
def schemas() -> None:
    """Write schemas/contracts/ anew from the table contracts and the rules."""
    from e2analytics.cli.terminal import out
    from e2analytics.run.contract_files import write_contracts

    for file in write_contracts():
        out.print(f"{file}")


def main() -> None:
    """Run the command line, turning our own errors into exit codes."""
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
