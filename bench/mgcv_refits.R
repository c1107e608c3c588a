# Seconds of one refit of resampled men, the fastest of a few: Rscript mgcv_refits.R rows.csv n
suppressMessages(library(mgcv))
arguments <- commandArgs(trailingOnly = TRUE)
rows <- as.matrix(read.csv(arguments[1], header = FALSE))
man <- split(seq_len(nrow(rows)), rows[, 1])
fastest <- function(fit) min(replicate(as.integer(arguments[2]), {
  drawn <- unlist(man[sample(length(man), replace = TRUE)])
  frame <- list(y = rows[drawn, 2], x = rows[drawn, 3], z = rows[drawn, -(1:3)])
  system.time(fit(frame))[["elapsed"]]
}))
set.seed(0)
model <- y ~ s(x, bs = "ps", k = 12, m = c(2, 2)) + z
gam_seconds <- fastest(function(frame) gam(model, data = frame, method = "REML"))
bam_seconds <- fastest(function(frame) bam(model, data = frame, method = "fREML", discrete = TRUE))
cat(sprintf('{"mgcv gam": %.6f, "mgcv bam": %.6f}\n', gam_seconds, bam_seconds))
