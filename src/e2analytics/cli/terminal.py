"""What the terminal shows: progress on standard error, results on standard output, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from e2analytics.ingest.reconcile import FATES
from e2analytics.run.job import STEPS, Done, Preview
from e2analytics.tables.contracts import FITTED_SITES, POOLED

if TYPE_CHECKING:
    # What writes reports takes a second to import, and most commands write none.
    from e2analytics.report.compare import Comparison
    from e2analytics.run.monthly import Written

# No markup: a path may hold brackets.
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

_PLACES: Final = {site: place for place, site in enumerate((*FITTED_SITES, POOLED))}
STEP_NAMES: Final = {
    "snapshot": "Opening the store",
    "read": "Reading the drop",
    "take_in": "Normalising and checking rows",
    "see": "Taking the as-of view",
    "join": "Linking doses, draws and scans",
    "respond_to_dose": "Estimating each man's estradiol",
    "measure_exposure": "Working out the estradiol between scans",
    "measure_for_curves": "Laying out rows for the curves",
    "fit": "Fitting the curves with their bootstrap",
    "vary": "Varying the curve one choice at a time",
    "flag_men": "Flagging",
    "count_measures": "Counting the quality measures",
    "account_for": "Accounting for every row",
    "grade": "Grading each feed's data",
    "keep_crosswalk": "Sealing the crosswalk",
    "publish": "Publishing",
}


@contextmanager
def progress_bar() -> Iterator[Callable[[str], None]]:
    """Show on standard error how far a run has come; yields what to call when a step begins."""
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("Starting", total=len(STEPS) + 1)

        def tell(step: str) -> None:
            words = STEP_NAMES.get(step, step)
            if not err.is_terminal:
                err.print(f"{words} ...")
            bars.update(bar, description=words, advance=1)

        yield tell


@contextmanager
def bar_of_versions() -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how many versions of a report are written; yields what to tell it."""
    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("Reading the store", total=None)

        def tell(done: int, of: int) -> None:
            words = f"Version {done} of {of} written"
            bars.update(bar, description=words, completed=done, total=of)

        yield tell


def print_done(done: Done, store: str) -> None:
    """Sum up a run: what was read and what became of it, the curves, the flags, what to do next."""
    counts = done.outputs.counts
    out.print(
        f"{done.manifest['run_id']} as of {done.manifest['as_of']}: {done.manifest['outcome']}."
    )
    out.print(_files(counts))
    fates = " + ".join(f"{counts[fate]:,} {fate.replace('_', ' ')}" for fate in FATES)
    out.print(f"All rows ever read: {counts['rows_read']:,} = {fates}.")
    for row in by_site(done.outputs.tables["curve_summary"]).iter_rows(named=True):
        out.print(_curve(row))
    if "men" in counts:
        flagged = tiers(done.outputs.tables["flags"])
        out.print(
            f"{counts['men']:,} men, {counts['men_on_drug']:,} on an aromatase inhibitor; "
            f"flagged: {flagged}."
        )
    out.print(f"Store: {store}   (overview: e2analytics status --store {store})")
    _print_what_was_not_read(done)


def _print_what_was_not_read(done: Done) -> None:
    for file in done.sources.files:
        if file.refused:
            err.print(f"REFUSED {file.path}: {file.refused}. Nothing of it was stored.")
    unused = {file.path: file.unused for file in done.sources.files if file.unused}
    for path, names in unused.items():
        err.print(f"Nothing uses these of {path}: {', '.join(names)}")
    for path in done.sources.unmatched:
        why = "it is a folder: a drop is flat" if path.is_dir() else "no feed describes it"
        err.print(f"Not read, {why}: {path}")
    if refused := done.outputs.counts["files_refused_now"]:
        err.print(f"The run was published without {refused} file(s): mend them and run again.")


def _files(counts: Mapping[str, int]) -> str:
    parts = [f"Read {counts['files_read_now']} file(s) with {counts['rows_read_now']:,} rows"]
    if counts["files_known"]:
        parts.append(f"{counts['files_known']} known already")
    if counts["files_refused_now"]:
        parts.append(f"{counts['files_refused_now']} refused")
    if counts["files_unmatched"]:
        parts.append(f"{counts['files_unmatched']} of no feed")
    return ", ".join(parts) + "."


def by_site(summary: pl.DataFrame) -> pl.DataFrame:
    """Put curves in the order in which they are fitted, as they come from the store by name."""
    place = pl.col("site").cast(pl.String).replace_strict(_PLACES, default=len(_PLACES))
    return summary.sort(place, "outcome")


def _curve(row: dict[str, Any]) -> str:
    head = f"{row['site'].replace('_', ' ')}, {row['outcome']}: "
    if row["verdict"] is None:
        return head + f"not fitted; {row['why_not']}"
    text = head + f"{row['verdict']} ({row['n_intervals']:,} rows of {row['n_patients']:,} men)"
    for side in ("lower", "upper"):
        if row[f"{side}_limit_pg_ml"] is not None:
            text += f", {side} limit {with_interval(row, side)} pg/mL"
    return text + "."


def tiers(flags: pl.DataFrame) -> str:
    """Say how many men are flagged, tier by tier."""
    counts = dict(flags.group_by("tier").len().rows())
    tiers = [f"{counts[tier]} {tier}" for tier in ("critical", "high", "watch") if tier in counts]
    return ", ".join(tiers) or "none"


def with_interval(row: dict[str, Any], side: str) -> str:
    """Say where a fitted limit lies, pg/mL, and its 95 % interval."""
    value, low, high = (
        row[name]
        for name in (f"{side}_limit_pg_ml", f"{side}_limit_ci_low", f"{side}_limit_ci_high")
    )
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def print_reports(written: Written) -> None:
    """Say what the month's reports say in their headlines, and where they are."""
    header = written.report.header
    out.print(f"Report of {header.month_name}, {header.run_id}. {header.completeness}")
    for number, fact in enumerate(written.report.headlines, start=1):
        out.print(f"  {number}. {fact.headline}")
    for file in written.network:
        out.print(f"Open: {file}")
    if written.clinics:
        out.print(
            f"And {len(written.clinics):,} files of single clinics in {written.clinics[0].parent}"
        )


def print_comparison(found: Comparison) -> None:
    """Say what differs between two reports, and why."""
    out.print(f"This report: {found.here}. Compared with: {found.there}.")
    if found.same:
        out.print("Nothing differs.")
        return
    for title, differences in (("How it was made", found.making), ("Numbers", found.numbers)):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in ("", "there", "here"):
            table.add_column(name, overflow="fold")
        for each in differences:
            table.add_row(each.name, each.there, each.here)
        if differences:
            out.print(table)
    for sentence in found.data:
        out.print(sentence)
    if found.reasons:
        out.print("Men whose flag or status differs (a man may have several reasons):")
    for reason in found.reasons:
        out.print(f"  {reason.n_men:,}: {reason.words}")


def print_preview(preview: Preview) -> None:
    """Show whose status or tier would change, and from what to what; nothing was published."""
    compared = preview.was.select("patient_id", "status", "tier").join(
        preview.would_be.select("patient_id", "status", "tier"), on="patient_id", suffix="_then"
    )
    changed = compared.filter(
        (pl.col("status") != pl.col("status_then")) | (pl.col("tier") != pl.col("tier_then"))
    )
    limits = [
        f"{frame['lower_limit_pg_ml'][0]:.1f}" if len(frame) else "none"
        for frame in (preview.was, preview.would_be)
    ]
    out.print(
        f"Preview, nothing was published. Limit {limits[0]} pg/mL, then {limits[1]}. Of "
        f"{len(compared):,} men on an aromatase inhibitor {len(changed):,} would change."
    )
    if changed.is_empty():
        return
    table = Table("status, tier now", "then", "men", "who (pseudonyms)", title="Would change")
    groups = changed.group_by("status", "tier", "status_then", "tier_then").agg(
        pl.col("patient_id").sort()
    )
    for status, tier, status_then, tier_then, men in groups.sort(groups.columns[:4]).rows():
        table.add_row(
            f"{status}, {tier}", f"{status_then}, {tier_then}", f"{len(men)}", "\n".join(men)
        )
    out.print(table)
