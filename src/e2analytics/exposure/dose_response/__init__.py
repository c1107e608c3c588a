"""Dose response of E2 from the clinic's tables: covariates, fit and score, prediction, checks of fit."""
