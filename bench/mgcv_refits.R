# Seconds of one refit of resampled men by R's packages: Rscript mgcv_refits.R rows.bin columns n
# The fastest of n refits by mgcv; one of several replicates of rms::bootcov, where it is installed.
suppressMessages(library(mgcv))
arguments <- commandArgs(trailingOnly = TRUE)
n_columns <- as.integer(arguments[2])
n_refits <- as.integer(arguments[3])
rows <- matrix(readBin(arguments[1], "double", file.size(arguments[1]) / 8),
               ncol = n_columns, byrow = TRUE)
man <- split(seq_len(nrow(rows)), rows[, 1])
fastest <- function(fit) min(replicate(n_refits, {
  drawn <- unlist(man[sample(length(man), replace = TRUE)])
  frame <- list(y = rows[drawn, 2], x = rows[drawn, 3], z = rows[drawn, -(1:3)])
  system.time(fit(frame))[["elapsed"]]
}))
set.seed(0)
model <- y ~ s(x, bs = "ps", k = 20, m = c(2, 2)) + z
found <- list(`mgcv bam` = fastest(function(frame)
  bam(model, data = frame, method = "fREML", discrete = TRUE)))
if (nrow(rows) < 1e6) {
  found[["mgcv gam"]] <- fastest(function(frame) gam(model, data = frame, method = "REML"))
  if (suppressMessages(suppressWarnings(require(rms, quietly = TRUE)))) {
    frame <- data.frame(y = rows[, 2], x = rows[, 3], rows[, -(1:3)])
    linear <- reformulate(c("rcs(x, 5)", names(frame)[-(1:2)]), "y")
    fitted <- ols(linear, data = frame, x = TRUE, y = TRUE)
    n <- 10 * n_refits
    # It smooths nothing: five knots, placed once.
    found[["rms bootcov"]] <- system.time(
      bootcov(fitted, cluster = rows[, 1], B = n))[["elapsed"]] / n
  }
}
cat(sprintf("{%s}\n", paste(sprintf('"%s": %.6f', names(found), unlist(found)), collapse = ", ")))
