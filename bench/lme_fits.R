# Seconds of maximum likelihood with a random level and a random response: Rscript lme_fits.R draws.csv
suppressMessages({library(nlme); library(lme4)})
rows <- read.csv(commandArgs(trailingOnly = TRUE)[1], header = FALSE, col.names = c("man", "x", "on", "y"))
rows$man <- factor(rows$man)
seconds <- function(fit) { took <- system.time(result <- fit())[["elapsed"]]; c(took, as.numeric(logLik(result))) }
nlme <- seconds(function() lme(y ~ x + on, random = ~ on | man, data = rows, method = "ML"))
lme4 <- seconds(function() lmer(y ~ x + on + (on | man), data = rows, REML = FALSE))
cat(sprintf('{"nlme": {"seconds": %.3f, "log_likelihood": %.6f}, "lme4": {"seconds": %.3f, "log_likelihood": %.6f}}\n',
            nlme[1], nlme[2], lme4[1], lme4[2]))
