"""Dose response of E2: each man's own level on and off the drug, by marginal likelihood."""
