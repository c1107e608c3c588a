# Reference numbers for tests/models/test_textbook.py: R's lm with sandwich::vcovCL, and mgcv's smoother.
# Run in this folder: Rscript textbook.R   (writes textbook.json; a few seconds)
# Rows are those of curve_mgcv.R (Weyl sequences), four to a man.
suppressMessages({library(mgcv); library(sandwich)})

primes <- c(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103)
weyl <- function(n, column) (seq_len(n) * sqrt(primes[column])) %% 1
bell <- function(n, columns) Reduce(`+`, lapply(columns, weyl, n = n)) - 6

rows_of <- function(n, shape) {
  x <- log(6) + (log(80) - log(6)) * weyl(n, 1)
  z1 <- bell(n, 2:13)
  z2 <- 0.5 * (x - 3) + weyl(n, 14) - 0.5
  w <- 0.3 + 2.7 * weyl(n, 15)
  y <- -2.5 * pmin(pmax((log(20) - x) / log(2), 0), 1) + 0.4 * z1 - 0.2 * z2 + 2 * bell(n, 16:27) / sqrt(w)
  if (shape == "u") y <- y - 3 * pmax(x - log(35), 0)
  centred <- function(z) z - weighted.mean(z, w)
  data.frame(x, z1 = centred(z1), z2 = centred(z2), w, y, man = (seq_len(n) - 1) %/% 4)
}

one_sided <- function(fit, contrast, sign, men) {
  value <- sum(contrast * coef(fit))
  error <- sqrt(drop(contrast %*% vcovCL(fit, ~man, type = "HC1", cadjust = TRUE) %*% contrast))
  c(value, pt(sign * value / error, men - 1, lower.tail = FALSE))
}

quadratic <- function(d) {
  fit <- lm(y ~ x + I(x^2) + z1 + z2, d, weights = w)
  men <- length(unique(d$man)); V <- vcovCL(fit, ~man, type = "HC1", cadjust = TRUE)
  b <- coef(fit)
  low <- one_sided(fit, c(0, 1, 2 * min(d$x), 0, 0), 1, men)
  high <- one_sided(fit, c(0, 1, 2 * max(d$x), 0, 0), -1, men)
  # Fieller: the levels m at which |b1 + 2 b2 m| is t standard errors, by root finding.
  excess <- function(m) abs(b[2] + 2 * b[3] * m) - qt(0.975, men - 1) * sqrt(V[2, 2] + 4 * m * V[2, 3] + 4 * m^2 * V[3, 3])
  top <- -b[2] / (2 * b[3])
  end <- function(sign) uniroot(excess, sort(c(top, top + sign * 3)), tol = 1e-13)$root
  list(low = low, high = high, best = exp(top), ci = exp(c(end(-1), end(1))))
}

broken <- function(d, at) {
  d$low <- ifelse(d$x > at, 0, d$x - at); d$high <- ifelse(d$x > at, d$x - at, 0); d$above <- as.numeric(d$x > at)
  lm(y ~ low + high + above + z1 + z2, d, weights = w)
}
two_lines <- function(d) {
  k <- 10; h <- (max(d$x) - min(d$x)) / (k - 3)
  smooth <- gam(y ~ z1 + z2 + s(x, bs = "ps", k = k, m = c(2, 2)), method = "REML", weights = w, data = d,
                knots = list(x = min(d$x) + h * (-3:k)),
                control = gam.control(epsilon = 1e-13, newton = list(conv.tol = 1e-13, maxNstep = 5, maxSstep = 2, maxHalf = 30)))
  levels <- sort(unique(d$x)); ends <- quantile(levels, c(0.1, 0.9))
  levels <- levels[levels > ends[1] & levels < ends[2]]
  p <- predict(smooth, data.frame(x = levels, z1 = 0, z2 = 0), se.fit = TRUE)
  top <- levels[p$fit + p$se.fit > max(p$fit)]
  men <- length(unique(d$man))
  first <- broken(d, median(top)); V <- vcovCL(first, ~man, type = "HC1", cadjust = TRUE)
  z <- abs(coef(first)[2:3]) / sqrt(diag(V)[2:3])
  at <- quantile(top, z[2] / sum(z), names = FALSE)
  fit <- broken(d, at)
  list(at = exp(at), low = one_sided(fit, c(0, 1, 0, 0, 0, 0), 1, men), high = one_sided(fit, c(0, 0, 1, 0, 0, 0), -1, men))
}

number <- function(v) paste0("[", paste(formatC(v, digits = 17, format = "g", width = 1), collapse = ", "), "]")
object <- function(o) paste0("{", paste0("\"", names(o), "\": ", sapply(o, number), collapse = ", "), "}")
cases <- list()
for (shape in c("threshold", "u")) {
  d <- rows_of(1000, shape)
  cases[[paste("quadratic", shape)]] <- quadratic(d); cases[[paste("two_lines", shape)]] <- two_lines(d)
}
writeLines(paste0("{\n", paste0(" \"", names(cases), "\": ", sapply(cases, object), collapse = ",\n"), "\n}"), "textbook.json")
