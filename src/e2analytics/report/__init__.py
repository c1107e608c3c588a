"""The monthly report: ``build`` does all arithmetic, ``render_html`` only sets it on a page."""

from e2analytics.report.content import Report, build
from e2analytics.report.render import render_html

__all__ = ["Report", "build", "render_html"]
