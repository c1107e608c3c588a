# Reference numbers for tests/models/test_reml.py, by mgcv at tight tolerance.
# Run in this folder: Rscript curve_mgcv.R   (writes curve_mgcv_data.csv and curve_mgcv.json)
suppressMessages(library(mgcv))

set.seed(20261123)
n <- 600
x <- runif(n, log(6), log(80))
z <- cbind(z1 = rnorm(n), z2 = 0.5 * (x - 3) + rnorm(n))
w <- runif(n, 0.3, 3)
y <- -2.5 * pmin(pmax((log(20) - x) / log(2), 0), 1) + 0.4 * z[, 1] - 0.2 * z[, 2] +
  rnorm(n) * 2 / sqrt(w)

lower <- log(5); upper <- log(90); k <- 12
h <- (upper - lower) / (k - 3)
knots <- lower + h * (-3:k)
fit <- gam(y ~ s(x, bs = "ps", k = k, m = c(2, 2)) + z, method = "REML", weights = w,
           knots = list(x = knots), control = gam.control(epsilon = 1e-13, maxit = 500,
           newton = list(conv.tol = 1e-13, maxNstep = 5, maxSstep = 2, maxHalf = 30)))

at <- log(c(7, 10, 14, 20, 28, 40, 60)); reference <- log(30)
terms <- function(e2) predict(fit, data.frame(x = e2, z = I(matrix(0, length(e2), 2))), type = "lpmatrix")
D <- terms(at) - terms(rep(reference, length(at)))
number <- function(v) paste0("[", paste(formatC(v, digits = 17, format = "g", width = 1), collapse = ", "), "]")
fields <- list(lower = lower, upper = upper, n_basis = k, at_log_e2 = at, reference_log_e2 = reference,
  contrast = as.numeric(D %*% coef(fit)), contrast_se = sqrt(rowSums((D %*% vcov(fit)) * D)),
  level = as.numeric(terms(reference) %*% coef(fit)),
  covariates = coef(fit)[2:3], edf = sum(fit$edf), scale = fit$sig2,
  smoothing = fit$sp / fit$smooth[[1]]$S.scale)
writeLines(paste0("{\n", paste0("  \"", names(fields), "\": ", sapply(fields, number), collapse = ",\n"), "\n}"),
           "curve_mgcv.json")
write.csv(data.frame(lapply(data.frame(x, z, w, y), formatC, digits = 17, format = "g", width = 1)), "curve_mgcv_data.csv", row.names = FALSE, quote = FALSE)
