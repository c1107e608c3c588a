"""From suppliers' rows to accepted rows: every row read gets exactly one fate."""
