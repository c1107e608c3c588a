"""What fills the parts of a line with several results: a column each, or a group of columns.

In    the columns that are called like a test or a site, and those that say who and when
Out   the sources of one part
"""

from __future__ import annotations

from collections.abc import Mapping

from e2analytics.feeds.description import Constant, Join, Source
from e2analytics.feeds.drafting import headings


def result(column: str, test: headings.Measured, base: list[str]) -> dict[str, Source]:
    """Return what fills the columns of a test that a column is called like; ``base`` says who and when."""
    unit: dict[str, Source] = {"unit": Constant(constant=test.unit)} if test.unit else {}
    own: dict[str, Source] = {}
    if len(base) > 1:
        own["result_id"] = Join(join=tuple(base), prefix=f"{test.name}-")
    return {**own, "test_name": Constant(constant=test.name), "value": column, **unit}


def grouped(
    name: str, groups: Mapping[str, headings.Group], named: Mapping[str, str]
) -> dict[str, Source]:
    """Return what fills the columns of a test whose result, unit and more stand side by side."""
    own = {each.what: column for column, each in groups.items() if each.name == name}
    when = own.get("collected_at", named.get("collected_at"))
    who_and_when = [each for each in (named.get("patient_id"), when) if each is not None]
    part: dict[str, Source] = {"test_name": Constant(constant=name), **own}
    if len(who_and_when) > 1:
        part = {"result_id": Join(join=tuple(who_and_when), prefix=f"{name}-"), **part}
    return part


def scan(
    site: str, side: str | None, scans: Mapping[str, headings.Density], base: list[str]
) -> dict[str, Source]:
    """Return what fills the columns of a site."""
    own: dict[str, Source] = {}
    if len(base) > 1:
        own["scan_id"] = Join(join=tuple(base), prefix=f"{side}-{site}-" if side else f"{site}-")
    measured: dict[str, Source] = {
        each.what: column
        for column, each in scans.items()
        if (each.site, each.side) == (site, side)
    }
    which: dict[str, Source] = {"side": Constant(constant=side)} if side else {}
    return {**own, "site": Constant(constant=site), **which, **measured}
