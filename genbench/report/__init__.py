"""The HTML report: one file that holds everything, asks nobody for anything, and is made from records alone.

Numbers come from `genbench.tables`, pictures from the folder ``grids`` beside the records. torch is not imported.
"""

from genbench.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
