# Reference numbers for tests/models/test_penalised_least_squares.py and test_risk.py, by mgcv at tight tolerance.
# Run in this folder: Rscript curve_mgcv.R   (writes curve_mgcv.json; half a minute)
# The data are sums of Weyl sequences, frac(i sqrt(prime)): the same numbers in any language, so
# that none need be stored. tests/models/weyl.py makes them in Python.
suppressMessages(library(mgcv))

primes <- c(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
            103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173)
weyl <- function(n, column) (seq_len(n) * sqrt(primes[column])) %% 1
# Twelve uniforms less six: mean 0, variance 1, nearly normal.
bell <- function(n, columns) Reduce(`+`, lapply(columns, weyl, n = n)) - 6

rows_of <- function(n, kind) {
  x <- log(6) + (log(80) - log(6)) * weyl(n, 1)
  if (kind == "ties") x <- round(10 * x) / 10
  z1 <- bell(n, 2:13)
  own <- weyl(n, 14) - 0.5
  z2 <- if (kind == "collinear") z1 + 0.01 * own else 0.5 * (x - 3) + own
  w <- if (kind %in% c("plain", "risk")) rep(1, n) else 0.3 + 2.7 * weyl(n, 15)
  y <- -2.5 * pmin(pmax((log(20) - x) / log(2), 0), 1) + 0.4 * z1 - 0.2 * z2 + 2 * bell(n, 16:27) / sqrt(w)
  if (kind == "outliers") y <- y + ifelse(weyl(n, 28) < 0.02, 30, 0)
  years <- 1 + 4 * weyl(n, 29)
  hazard <- exp(-2.2 + 0.5 * log(years) + 1.2 * pmin(pmax((log(20) - x) / log(2), 0), 1) + 0.2 * z1 - 0.1 * z2)
  data.frame(x, z1, z2, w, y, log_years = log(years), lost = as.numeric(weyl(n, 30) < 1 - exp(-hazard)))
}

lower <- log(5); upper <- log(90); k <- 12
h <- (upper - lower) / (k - 3)
knots <- list(x = lower + h * (-3:k))
tight <- gam.control(epsilon = 1e-13, maxit = 500, mgcv.tol = 1e-14, mgcv.half = 50,
                     newton = list(conv.tol = 1e-13, maxNstep = 5, maxSstep = 2, maxHalf = 30))
at <- log(c(7, 10, 14, 20, 28, 40, 60)); reference <- log(30)

terms <- function(fit, e2, log_years = 0) {
  rows <- data.frame(x = e2, z1 = 0, z2 = 0, log_years = log_years)
  predict(fit, rows, type = "lpmatrix")
}
described <- function(fit) {
  D <- terms(fit, at) - terms(fit, rep(reference, length(at)))
  error <- function(V) sqrt(rowSums((D %*% V) * D))
  list(contrast = as.numeric(D %*% coef(fit)), bayesian_se = error(vcov(fit)),
       frequentist_se = error(vcov(fit, freq = TRUE)), level = as.numeric(terms(fit, reference) %*% coef(fit)),
       linear = as.numeric(coef(fit)[2:fit$nsdf]), edf = sum(fit$edf), scale = fit$sig2,
       score = as.numeric(fit$gcv.ubre), smoothing = as.numeric(fit$sp / fit$smooth[[1]]$S.scale))
}
change <- function(n, kind, method) {
  described(gam(y ~ z1 + z2 + s(x, bs = "ps", k = k, m = c(2, 2)), method = method, weights = w, knots = knots,
                data = rows_of(n, kind), control = tight))
}
of_losses <- function(n, years) {
  model <- paste("lost ~ z1 + z2 +", years, "+ s(x, bs = \"ps\", k = k, m = c(2, 2))")
  described(gam(as.formula(model), method = "REML",
                family = binomial("cloglog"), knots = knots, data = rows_of(n, "risk"), control = tight))
}

cases <- list()
for (method in c("REML", "GCV.Cp")) {
  for (n in c(200, 1000, 10000)) for (kind in c("plain", "weighted", "ties", "collinear", "outliers"))
    cases[[paste(if (method == "REML") "reml" else "gcv", n, kind)]] <- change(n, kind, method)
}
for (n in c(200, 1000, 10000)) cases[[paste("risk", n)]] <- of_losses(n, "log_years")
for (n in c(1000, 10000)) cases[[paste("hazard", n)]] <- of_losses(n, "offset(log_years)")

number <- function(v) paste0("[", paste(formatC(v, digits = 17, format = "g", width = 1), collapse = ", "), "]")
object <- function(case) paste0("{", paste0("\"", names(case), "\": ", sapply(case, number), collapse = ",\n  "), "}")
writeLines(paste0("{\n", paste0(" \"", names(cases), "\": ", sapply(cases, object), collapse = ",\n"), "\n}"),
           "curve_mgcv.json")
