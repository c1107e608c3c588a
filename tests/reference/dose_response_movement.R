# Reference numbers for tests/models/dose_response/test_fit.py: the linear case with movement, by nlme.
# Run in this folder: Rscript dose_response_movement.R   (writes dose_response_movement.json; a minute)
# Every man's draws are exact and by mass spectrometry, everyone on the drug takes the same dose; a random level and
# a random response while on it, and within a man an error of two parts: one that fades over the days between two
# draws (corExp) and one of each draw alone (its nugget). Maximum likelihood, as ours.
# The data are sums of Weyl sequences, frac(i sqrt(prime)); the movement is one step of its own conditional
# law after the other. tests/models/weyl.py makes them in Python.
suppressMessages(library(nlme))

primes <- c(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
            103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173)
weyl <- function(n, column) (seq_len(n) * sqrt(primes[column])) %% 1
# Twelve uniforms less six: mean 0, variance 1, nearly normal.
bell <- function(n, columns) Reduce(`+`, lapply(columns, weyl, n = n)) - 6

draws_of <- function(men) {
  count <- 4 + floor(7 * weyl(men, 1))
  man <- rep(seq_len(men), count)
  place <- unlist(lapply(count, seq_len))
  n <- length(man)
  on <- as.numeric(man %% 3 != 0 & place > count[man] / 3)
  gap <- 40 + 160 * weyl(n, 38)
  day <- ave(gap, man, FUN = cumsum)
  level <- 0.4 * bell(men, 2:13)
  response <- -0.3 * level + 0.25 * bell(men, 14:25)
  x <- bell(n, 2:13)
  # Another stretch of the sequence: as good as another sequence.
  step <- bell(2 * n, 14:25)[n + seq_len(n)]
  z <- numeric(n)
  for (j in seq_len(n)) {
    kept <- exp(-gap[j] / 270)
    z[j] <- if (place[j] == 1) 0.25 * step[j] else kept * z[j - 1] + 0.25 * sqrt(1 - kept^2) * step[j]
  }
  y <- 3.5 + 0.3 * x - 0.9 * on + level[man] + on * response[man] + z + 0.22 * bell(n, 26:37)
  data.frame(man = factor(man), x, on, day, y)
}

# Log-likelihood of (fixed effects; log SD, log SD, atanh correlation, log SD of movement, log days, log SD of a draw).
log_likelihood <- function(p, rows, men) {
  sd <- exp(p[4:5]); r <- tanh(p[6])
  D <- matrix(c(sd[1]^2, r * sd[1] * sd[2], r * sd[1] * sd[2], sd[2]^2), 2)
  sum(sapply(men, function(i) {
    X <- cbind(1, rows$x[i], rows$on[i]); Z <- X[, c(1, 3), drop = FALSE]
    apart <- abs(outer(rows$day[i], rows$day[i], `-`))
    V <- Z %*% D %*% t(Z) + exp(2 * p[7]) * exp(-apart / exp(p[8])) + exp(2 * p[9]) * diag(length(i))
    R <- chol(V); e <- backsolve(R, rows$y[i] - X %*% p[1:3], transpose = TRUE)
    -sum(log(diag(R))) - 0.5 * sum(e^2) - 0.5 * length(i) * log(2 * pi)
  }))
}
# Central second differences, Richardson-extrapolated: nine digits of the observed information.
curvature <- function(f, p) {
  at <- function(h) {
    k <- length(p); H <- matrix(0, k, k); E <- h * diag(k)
    for (i in 1:k) for (j in 1:i)
      H[i, j] <- H[j, i] <- (f(p + E[i, ] + E[j, ]) - f(p + E[i, ] - E[j, ]) - f(p - E[i, ] + E[j, ])
                             + f(p - E[i, ] - E[j, ])) / (4 * h^2)
    H
  }
  (4 * at(1e-3) - at(2e-3)) / 3
}

described <- function(men) {
  rows <- draws_of(men)
  tight <- lmeControl(opt = "optim", optimMethod = "BFGS", msMaxIter = 1000, msTol = 1e-12, tolerance = 1e-12,
                      reltol = 1e-14, niterEM = 50, maxIter = 200)
  by <- lme(y ~ x + on, random = ~ on | man, data = rows, method = "ML", control = tight,
            correlation = corExp(c(270, 0.4), form = ~ day | man, nugget = TRUE))
  spread <- getVarCov(by)
  sd <- sqrt(diag(spread)); r <- spread[1, 2] / prod(sd)
  within <- coef(by$modelStruct$corStruct, unconstrained = FALSE)   # range, nugget (share of the draw alone)
  p <- c(fixef(by), log(sd), atanh(r), log(sigma(by) * sqrt(1 - within[2])), log(within[1]),
         log(sigma(by) * sqrt(within[2])))
  index <- split(seq_len(nrow(rows)), rows$man)
  f <- function(q) log_likelihood(q, rows, index)
  # nlme stops where its steps are small; a few Newton steps on the same likelihood give the last digits.
  polished <- optim(p, f, method = "BFGS", control = list(fnscale = -1, reltol = 1e-15, maxit = 500))$par
  error <- sqrt(diag(solve(-curvature(f, polished))))
  list(n_draws = nrow(rows), fixed_nlme = as.numeric(fixef(by)), fixed_se_nlme = as.numeric(sqrt(diag(by$varFix))),
       # SD of level and response, their correlation; SD and days of the movement, SD of a draw.
       spread_nlme = as.numeric(c(sd, r, exp(p[7:9]))), log_likelihood_nlme = as.numeric(logLik(by)),
       spread_polished = as.numeric(c(exp(polished[4:5]), tanh(polished[6]), exp(polished[7:9]))),
       log_likelihood_polished = f(polished), se_of_all = as.numeric(error))
}

number <- function(v) paste0("[", paste(formatC(v, digits = 12, format = "g", width = 1), collapse = ", "), "]")
object <- function(case) paste0("{", paste0("\"", names(case), "\": ", sapply(case, number), collapse = ",\n  "), "}")
cases <- list("300 men" = described(300))
writeLines(paste0("{\n", paste0(" \"", names(cases), "\": ", sapply(cases, object), collapse = ",\n"), "\n}"),
           "dose_response_movement.json")
