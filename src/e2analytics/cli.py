"""The command line: parses, calls one function, prints one summary.

Progress and messages go to standard error, results to standard output. The terminal may name the
files that its user gave; nothing here names a patient.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from e2analytics import progress
from e2analytics.contracts import TABLES
from e2analytics.errors import (
    EXIT_INCOMPLETE,
    E2AnalyticsError,
    TooLittleDataError,
    UnforeseenError,
    UnreadableError,
)
from e2analytics.job import STEPS, Done, Job, Part, perform
from e2analytics.settings import quiet_prefect, read_settings
from e2analytics.stages import limit
from e2analytics.stages.fit import CHANGE
from e2analytics.store import Store, open_published

# Rich tracebacks can print local variables: patients.
app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=__doc__.splitlines()[0],
    add_completion=False,
)
limits_app = typer.Typer(no_args_is_help=True, help="The limit of E2 that flags are judged by.")
app.add_typer(limits_app, name="limits")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

DEFAULT_STORE = "store"
_STEP_NAMES = {
    "snapshot": "Opening the store",
    "read": "Reading the drop",
    "take_in": "Normalising and checking rows",
    "see": "Taking the as-of view",
    "join": "Linking doses, draws and scans",
    "measure_exposure": "Estimating each man's estradiol",
    "fit": "Fitting the curves (1,000 bootstrap replicates)",
    "flag_men": "Flagging",
    "account_for": "Accounting for every row",
    "publish": "Publishing",
}


def _as_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


StoreOption = Annotated[str, typer.Option("--store", help="Folder or address of the store.")]
AsOfOption = Annotated[
    date | None,
    typer.Option(
        "--as-of", parser=_as_date, metavar="DATE", help="Judge as of this day; by default today."
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file; by default e2analytics.toml, if there.")
]
DropOption = Annotated[Path, typer.Option("--drop", help="Folder of suppliers' files.")]


@app.command()
def run(
    drop: DropOption,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    refit: Annotated[bool, typer.Option("--refit", help="Fit anew, whatever the month.")] = False,
) -> None:
    """Run the whole nightly flow, in Prefect, once: read, check, fit, flag, publish."""
    # The settings and the store are looked at first: a mistake need not wait for Prefect.
    settings = read_settings(config)
    day = as_of or date.today()
    Job(store=store, as_of=day, settings=settings, drop=drop)
    with _progress() as tell:
        tell(_prefect_starts())
        nightly = _load_nightly()
        with progress.watched_by(lambda step: tell(_STEP_NAMES.get(step, step))):
            done = nightly(
                drop=str(drop),
                store=store,
                as_of=day,
                config=str(config) if config else None,
                refit=refit,
            )
    _summarise(done, store)


@app.command()
def ingest(
    drop: Annotated[Path, typer.Argument(help="Folder of suppliers' files.")],
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
) -> None:
    """Only read a drop: check its rows and publish them; nothing is fitted or flagged."""
    _one_stage("ingest", store, as_of, config, drop=drop)


@app.command()
def fit(
    store: StoreOption = DEFAULT_STORE, as_of: AsOfOption = None, config: ConfigOption = None
) -> None:
    """Fit the curves anew to what the store holds, and flag with them."""
    done = _one_stage("fit", store, as_of, config)
    fitted = done.outputs.tables["curve_summary"].filter(pl.col("verdict").is_not_null())
    if fitted.is_empty():
        raise TooLittleDataError(
            "No curve could be fitted: "
            + "; ".join(done.outputs.tables["curve_summary"]["why_not"].unique().sort())
        )


@app.command(name="flag")
def flag_(
    store: StoreOption = DEFAULT_STORE, as_of: AsOfOption = None, config: ConfigOption = None
) -> None:
    """Only flag: judge the men that the store holds as of a day."""
    _one_stage("flag", store, as_of, config)


def _one_stage(
    part: Part, store: str, as_of: date | None, config: Path | None, drop: Path | None = None
) -> Done:
    if drop is None:
        open_published(store)
    job = Job(
        store=store,
        as_of=as_of or date.today(),
        settings=read_settings(config),
        drop=drop,
        part=part,
    )
    with _progress() as tell:
        done = perform(job, tell=lambda step: tell(_STEP_NAMES.get(step, step)))
    _summarise(done, store)
    return done


@app.command()
def report(
    month: Annotated[str, typer.Option("--month", help="YYYY-MM.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write the monthly report: one HTML page that needs no network."""
    from e2analytics.monthly import last_day, write_report

    try:
        last_day(month)
    except ValueError:
        raise typer.BadParameter(f"{month!r} is not a month; write YYYY-MM") from None
    out.print(f"Report of {month}. Open: {write_report(store, month, out_folder)}")


class Format(enum.StrEnum):
    """What ``export`` can write."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


@app.command()
def export(
    table: Annotated[str, typer.Argument(help=f"One of: {', '.join(TABLES)}.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    store: StoreOption = DEFAULT_STORE,
    format: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.csv,
    as_of: AsOfOption = None,
) -> None:
    """Write a table of the store to a file, as it is or as it was as of a day."""
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
        raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None
    err.print(
        f"{len(frame):,} rows of {table}, {published['run_id']} as of {published['as_of']}: {file}"
    )


@app.command()
def status(store: StoreOption = DEFAULT_STORE) -> None:
    """Show the last runs, row counts, freshness of each feed, the limit in use and open flags."""
    opened, published = open_published(store)
    runs = Table(
        "run", "as of", "finished (UTC)", "outcome", "rows read", "flagged", title="Last runs"
    )
    for manifest in opened.runs().tail(5).iter_rows(named=True):
        counts = json.loads(manifest["counts"])
        runs.add_row(
            manifest["run_id"],
            str(manifest["as_of"]),
            f"{manifest['finished_at']:%Y-%m-%d %H:%M}",
            manifest["outcome"],
            f"{counts['rows_read_now']:,}",
            str(counts.get("men_flagged", "-")),
        )
    out.print(runs)
    out.print(_rows_by_table(opened, published))
    _print_limit(opened, published)
    flags = opened.table("flags", published).filter(pl.col("tier") != "none")
    tiers = ", ".join(f"{count} {tier}" for tier, count in _by_tier(flags)) or "none"
    out.print(f"Open flags: {tiers}.")


def _rows_by_table(opened: Store, published: dict[str, Any]) -> Table:
    files = opened.table("files", published)
    newest = {
        "labs": "collected_on",
        "dxa": "scanned_on",
        "medications": "started_on",
        "events": "occurred_on",
    }
    table = Table("table", "accepted", "not accepted", "files", "newest event", title="Rows")
    for target in files["target"].unique().sort():
        of_target = files.filter(pl.col("target") == target)
        accepted, read = int(of_target["accepted"].sum()), int(of_target["rows_read"].sum())
        dated = newest.get(target)
        latest = opened.table(target, published)[dated].max() if dated else None
        table.add_row(
            target,
            f"{accepted:,}",
            f"{read - accepted:,}",
            str(len(of_target)),
            "-" if latest is None else f"{latest!s}",
        )
    return table


def _by_tier(flags: pl.DataFrame) -> list[tuple[str, int]]:
    counts = dict(flags.group_by("tier").len().rows())
    return [(tier, counts[tier]) for tier in ("critical", "high", "watch") if tier in counts]


@limits_app.command("show")
def limits_show(store: StoreOption = DEFAULT_STORE, config: ConfigOption = None) -> None:
    """Show the fitted limits beside the one in use."""
    opened, published = open_published(store)
    _print_limit(opened, published)
    table = Table(
        "site", "lower limit, pg/mL", "95 % interval", "verdict", "supported", title="Fitted"
    )
    for row in opened.table("curve_summary", published).iter_rows(named=True):
        if row["outcome"] != CHANGE:
            continue
        value, low, high = (
            row[name] for name in ("lower_limit_pg_ml", "lower_limit_ci_low", "lower_limit_ci_high")
        )
        table.add_row(
            row["site"],
            f"{value:.1f}" if value is not None else "none",
            f"{low:.1f} to {high:.1f}" if value is not None else row["why_not"] or "",
            row["verdict"] or "not fitted",
            "yes" if row["supported"] else "no",
        )
    out.print(table)
    settings = read_settings(config)
    found = limit.candidates(opened.table("curve_summary", published), settings.fit, settings.flag)
    if len(found):
        out.print("To take the fitted limit into use: e2analytics limits adopt --reason TEXT")


def _print_limit(opened: Store, published: dict[str, Any]) -> None:
    settings = read_settings()
    adopted = opened.table("limits", published)
    in_use = limit.in_use(adopted, settings.flag, as_of=published["as_of"])
    since = f" since {adopted['adopted_on'].to_list()[-1]}" if in_use.source == "fitted" else ""
    out.print(f"Limit in use: {in_use.lower_limit_pg_ml:.1f} pg/mL ({in_use.source}{since}).")


@limits_app.command("adopt")
def limits_adopt(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the limit.")],
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
) -> None:
    """Take the fitted limit into use from this day on, and flag by it."""
    if not reason.strip():
        raise typer.BadParameter("give a reason; it is kept with the limit")
    open_published(store)
    settings = read_settings(config)
    job = Job(store=store, as_of=as_of or date.today(), settings=settings, adopt=reason.strip())
    with _progress() as tell:
        done = perform(job, tell=lambda step: tell(_STEP_NAMES.get(step, step)))
    _summarise(done, store)
    _print_limit(Store(store), done.manifest)


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
    shape: Annotated[
        Shape, typer.Option("--shape", help="True curve of E2 and bone.")
    ] = Shape.threshold,
    seed: Annotated[
        int, typer.Option("--seed", help="The same seed gives the same files.")
    ] = 20260930,
    on_drug_share: Annotated[
        float, typer.Option("--on-drug-share", help="Men on anastrozole; 0.03 is general practice.")
    ] = 0.35,
    effect: Annotated[
        float, typer.Option("--effect", help="Loss at E2 <= 10 pg/mL, %/year; 1.0 is weak.")
    ] = 2.5,
    sample: Annotated[
        bool, typer.Option("--sample", help="Write the sample of the repository instead.")
    ] = False,
) -> None:
    """Write a cohort with a known truth: synthetic files only."""
    from e2analytics.simulate import SimulationSettings, write_sample
    from e2analytics.simulate import simulate as write_cohort

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
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be written ({error.strerror}).") from None
    rows = sum(sum(fates.values()) for fates in made.rows.values())
    out.print(
        f"{made.men:,} men, {made.men_on_drug:,} on anastrozole, {made.men_attributable:,} pushed below "
        f"16 pg/mL by it; {rows:,} rows. Drop: {made.drop}  Truth: {made.truth}"
    )


@app.command()
def schemas() -> None:
    """Write schemas/contracts/ anew from the table contracts."""
    from e2analytics.contract_files import write_contracts

    for file in write_contracts():
        out.print(str(file))


# --- what every verb shares ------------------------------------------------------------------


def _prefect_starts() -> str:
    if os.environ.get("PREFECT_API_URL"):
        return "Connecting to Prefect"
    return "Starting a Prefect server of its own (about 15 s; PREFECT_API_URL names a running one)"


def _load_nightly() -> Any:
    quiet_prefect()
    # The terminal shows progress and a summary instead; a deployment keeps Prefect's logs.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    from flows.nightly import nightly

    return nightly


@contextmanager
def _progress() -> Iterator[Any]:
    """Show on standard error how far a run has come; yields what to call with every step's name."""
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("Starting", total=len(STEPS) + 1)

        def tell(step: str) -> None:
            if not err.is_terminal:
                err.print(f"{step} ...")
            bars.update(bar, description=step, advance=1)

        yield tell


def _summarise(done: Done, store: str) -> None:
    counts, outputs = done.outputs.counts, done.outputs
    manifest = done.manifest
    out.print(f"{manifest['run_id']} as of {manifest['as_of']}: {manifest['outcome']}.")
    out.print(_files_in_words(done))
    out.print(
        f"All rows ever read: {counts['rows_read']:,} = "
        + " + ".join(
            f"{counts[fate]:,} {fate.replace('_', ' ')}"
            for fate in (
                "accepted",
                "duplicate",
                "superseded",
                "withdrawn",
                "set_apart",
                "quarantined",
            )
        )
        + "."
    )
    for row in outputs.tables["curve_summary"].iter_rows(named=True):
        out.print(_curve_in_words(row))
    if "men" in counts:
        tiers = ", ".join(f"{n} {tier}" for tier, n in _by_tier(outputs.tables["flags"])) or "none"
        out.print(
            f"{counts['men']:,} men, {counts['men_on_drug']:,} on an aromatase inhibitor; flagged: {tiers}."
        )
    out.print(f"Store: {store}  (tables: e2analytics export --help; overview: e2analytics status)")
    refused = [file for file in done.sources.files if file.refused]
    for file in refused:
        assert file.refused is not None  # noqa: S101 - chosen so in the line above
        err.print(f"REFUSED {file.path}: {file.refused}. Nothing of it was stored.")
    for path in done.sources.unmatched:
        err.print(f"Not read, no feed describes it: {path}")
    if refused:
        err.print(f"The run was published without {len(refused)} file(s); send them again, mended.")
        raise typer.Exit(EXIT_INCOMPLETE)


def _files_in_words(done: Done) -> str:
    counts = done.outputs.counts
    parts = [f"Read {counts['files_read_now']} file(s) with {counts['rows_read_now']:,} rows"]
    if counts["files_known"]:
        parts.append(f"{counts['files_known']} file(s) known already")
    if counts["files_refused_now"]:
        parts.append(f"{counts['files_refused_now']} refused")
    return ", ".join(parts) + "."


def _curve_in_words(row: dict[str, Any]) -> str:
    head = f"{row['site'].replace('_', ' ')}, {row['outcome']}: "
    if row["verdict"] is None:
        return head + f"not fitted; {row['why_not']}"
    text = head + f"{row['verdict']} ({row['n_intervals']:,} rows of {row['n_patients']:,} men)"
    if row["lower_limit_pg_ml"] is not None:
        text += (
            f", lower limit {row['lower_limit_pg_ml']:.1f} pg/mL "
            f"({row['lower_limit_ci_low']:.1f} to {row['lower_limit_ci_high']:.1f})"
        )
    if row["upper_limit_pg_ml"] is not None:
        text += (
            f", upper limit {row['upper_limit_pg_ml']:.1f} pg/mL "
            f"({row['upper_limit_ci_low']:.1f} to {row['upper_limit_ci_high']:.1f})"
        )
    return text + "."


def main() -> None:
    """Run the command line, turning our own errors into exit codes."""
    quiet_prefect()
    try:
        app()
    except E2AnalyticsError as error:
        err.print(f"{type(error).__name__}: {error}", markup=False)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        # Whatever this is, its message may hold a value of a patient.
        unforeseen = UnforeseenError.at("e2analytics", error)
        err.print(f"{type(unforeseen).__name__}: {unforeseen}", markup=False)
        raise SystemExit(unforeseen.exit_code) from None


if __name__ == "__main__":
    main()
