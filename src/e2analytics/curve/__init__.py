"""The curve of E2 against bone: its rows, its fit, its tables, and the limit in use."""
