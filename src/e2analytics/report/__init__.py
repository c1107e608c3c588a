"""The monthly report: ``content.build`` does all arithmetic, ``render.render_html`` only sets it on a page.

Nothing is imported here: the words of :mod:`e2analytics.report.sections.reasons` are also the terminal's, which need
not wait for charts.
"""
