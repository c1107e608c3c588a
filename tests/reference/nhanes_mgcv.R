# Femoral-neck BMD on log E2 in the men of NHANES 2017 - March 2020, by mgcv.
#
#   e2analytics run --drop NHANES --store S --as-of 2026-09-30
#   e2analytics export levels --store S -o levels.csv
#   Rscript nhanes_mgcv.R levels.csv nhanes_mgcv.json
#
# The data stay where they are; only the fit is kept.
suppressPackageStartupMessages(library(mgcv))
arguments <- commandArgs(trailingOnly = TRUE)
men <- read.csv(arguments[1])
men <- men[men$site == "femoral_neck", ]
with_e2 <- nrow(men)
men <- men[complete.cases(men[, c("e2_pg_ml", "age_years", "bmi_kg_m2", "bmd_g_cm2")]), ]
men$x <- log(men$e2_pg_ml)
fit <- gam(bmd_g_cm2 ~ s(x, bs = "ps", k = 12, m = c(2, 2)) + age_years + bmi_kg_m2,
           data = men, method = "REML",
           control = gam.control(epsilon = 1e-12, newton = list(conv.tol = 1e-12)))
grid <- c(10, 15, 20, 25, 30, 40, 50, 60)
new <- data.frame(x = log(grid), age_years = mean(men$age_years), bmi_kg_m2 = mean(men$bmi_kg_m2))
basis <- predict(fit, new, type = "lpmatrix")
contrast <- sweep(basis, 2, basis[grid == 25, ])
estimate <- drop(contrast %*% coef(fit))
se <- sqrt(rowSums((contrast %*% vcov(fit)) * contrast))
numbers <- function(x) paste(sprintf("%.10g", x), collapse = ", ")
writeLines(sprintf(
  '{\n  "mgcv": "%s",\n  "n_with_e2": %d,\n  "n": %d,\n  "edf": %.6f,\n  "p": %.4g,\n  "e2_pg_ml": [%s],\n  "contrast_to_25_g_cm2": [%s],\n  "se_g_cm2": [%s]\n}',
  packageVersion("mgcv"), with_e2, nrow(men), summary(fit)$edf, summary(fit)$s.pv,
  numbers(grid), numbers(estimate), numbers(se)), arguments[2])
