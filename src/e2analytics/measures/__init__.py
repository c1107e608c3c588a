"""Quality measures: which units of care count, which of them met the rule, by month and clinic."""
