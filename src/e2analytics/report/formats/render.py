"""One report in every form that it is handed out in: page, sheets of paper, workbook.

In    Report
Out   the contents of the files, by suffix; the same bytes for the same report
"""

from __future__ import annotations

from e2analytics.report.content import Report
from e2analytics.report.external.report import ExternalReport
from e2analytics.report.formats.document import read_page
from e2analytics.report.formats.html import render_external, render_html
from e2analytics.report.formats.pdf import Edges, render_pdf
from e2analytics.report.formats.workbook import render_workbook
from e2analytics.report.sections import methods


def render(report: Report | ExternalReport) -> dict[str, bytes]:
    """Render ``report`` as ``.html``, ``.pdf`` and ``.xlsx``."""
    page = render_external(report) if isinstance(report, ExternalReport) else render_html(report)
    document = read_page(page)
    edges = edges_of(report)
    return {
        ".html": page.encode(),
        ".pdf": render_pdf(document, edges),
        ".xlsx": render_workbook(document, edges),
    }


def edges_of(report: Report | ExternalReport) -> Edges:
    """Say what stands at the edge of every sheet: whose report it is, of when, from which run."""
    header = report.header
    outside = isinstance(report, ExternalReport)
    return Edges(
        warning=methods.EXTERNAL if outside else methods.INTERNAL,
        subject=f"{report.clinic or 'All clinics'}, {header.month_name}",
        origin=f"e2analytics {header.package_version}, {header.run_id}, {header.inputs}",
        as_of=header.as_of_day,
    )
