"""From a supplier's words to one scale, one code, one calendar."""
