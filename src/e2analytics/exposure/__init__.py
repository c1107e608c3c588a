"""Who took what when, and what E2 he had: episodes, draws, scan pairs, the dose response."""
