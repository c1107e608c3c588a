"""The forms that a report is handed out in: page, PDF, workbook."""
