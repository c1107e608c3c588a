"""``simulate``: a cohort with a known truth, as files."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from e2analytics.errors import UnreadableError


class Shape(enum.StrEnum):
    """Truths that ``simulate`` can plant."""

    u = "u"
    threshold = "threshold"
    rising = "rising"
    flat = "flat"
    two_sides = "two_sides"
    bone_only = "bone_only"


class World(enum.StrEnum):
    """What can move men's E2 beside the drug."""

    static = "static"
    drift = "drift"
    testosterone_steps = "testosterone_steps"
    weight_loss = "weight_loss"
    lapses = "lapses"
    assay_change = "assay_change"
    peak_or_trough = "peak_or_trough"


# Nine parameters: each is an argument or an option of the verb.
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
    world: Annotated[
        World, typer.Option("--world", help="What moves men's E2 beside the drug.")
    ] = World.static,
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
            world=world.value,
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
