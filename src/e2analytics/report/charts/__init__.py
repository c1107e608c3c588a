"""Charts of the report: vector pictures, the same bytes each time."""
