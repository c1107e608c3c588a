# Curves of R's packages: Rscript curve_peers.R folder
# In: N.rows (patient, outcome, log E2, weight, four covariates) and N.grid, as doubles
# Out: N.NAME.fit: estimate, low and high end at the points of the grid, covariates at their means
suppressMessages(library(mgcv))
folder <- commandArgs(trailingOnly = TRUE)[1]
doubles <- function(file) readBin(file, "double", file.size(file) / 8)
has_rms <- suppressMessages(suppressWarnings(require(rms, quietly = TRUE)))
for (file in list.files(folder, "\\.rows$", full.names = TRUE)) {
  rows <- matrix(doubles(file), ncol = 8, byrow = TRUE)
  frame <- data.frame(y = rows[, 2], x = rows[, 3], w = rows[, 4], rows[, 5:8])
  covariates <- names(frame)[-(1:3)]
  means <- as.data.frame(t(colMeans(frame[covariates])))
  at <- data.frame(x = doubles(sub("rows$", "grid", file)), means)
  leave <- function(name, said) {
    reach <- qnorm(0.975) * said$se
    writeBin(as.numeric(c(said$fit, said$fit - reach, said$fit + reach)),
             sub("rows$", paste0(name, ".fit"), file))
  }
  model <- gam(reformulate(c('s(x, bs = "ps", k = 20, m = c(2, 2))', covariates), "y"),
               data = frame, weights = w / mean(w), method = "REML")
  said <- predict(model, at, se.fit = TRUE)
  leave("mgcv", list(fit = said$fit, se = said$se.fit))
  if (has_rms) {
    model <- ols(reformulate(c("rcs(x, 5)", covariates), "y"), data = frame,
                 weights = w / mean(w), x = TRUE, y = TRUE)
    model <- bootcov(model, cluster = rows[, 1], B = 200)
    said <- predict(model, at, se.fit = TRUE)
    leave("rms_bootcov", list(fit = said$linear.predictors, se = said$se.fit))
  }
}
