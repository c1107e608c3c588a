# Reference numbers for tests/models/dose_response/test_fit.py, by nlme and lme4.
# Run in this folder: Rscript dose_response_lme.R   (writes dose_response_lme.json; seconds)
# The linear special case: every man's draws are exact and by mass spectrometry, everyone on the drug takes the
# same dose, a random level and a random response while on it. Maximum likelihood throughout, as ours.
# The data are sums of Weyl sequences, frac(i sqrt(prime)): the same numbers in any language, so
# that none need be stored. tests/models/weyl.py makes them in Python.
suppressMessages({library(nlme); library(lme4)})

primes <- c(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
            103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173)
weyl <- function(n, column) (seq_len(n) * sqrt(primes[column])) %% 1
# Twelve uniforms less six: mean 0, variance 1, nearly normal.
bell <- function(n, columns) Reduce(`+`, lapply(columns, weyl, n = n)) - 6

# Men have 2 to 8 draws; of two men in three all but the first third of them are on the drug.
draws_of <- function(men) {
  count <- 2 + floor(7 * weyl(men, 1))
  man <- rep(seq_len(men), count)
  place <- unlist(lapply(count, seq_len))
  n <- length(man)
  on <- as.numeric(man %% 3 != 0 & place > count[man] / 3)
  level <- 0.4 * bell(men, 2:13)
  response <- -0.3 * level + 0.25 * bell(men, 14:25)
  x <- bell(n, 2:13)
  y <- 3.5 + 0.3 * x - 0.9 * on + level[man] + on * response[man] + 0.22 * bell(n, 26:37)
  data.frame(man = factor(man), x, on, y)
}

# Log-likelihood of (fixed effects; log SD, log SD, atanh correlation, log residual SD), man by man.
log_likelihood <- function(p, rows, men) {
  sd <- exp(p[4:5]); r <- tanh(p[6])
  D <- matrix(c(sd[1]^2, r * sd[1] * sd[2], r * sd[1] * sd[2], sd[2]^2), 2)
  sum(sapply(men, function(i) {
    X <- cbind(1, rows$x[i], rows$on[i]); Z <- X[, c(1, 3), drop = FALSE]
    V <- Z %*% D %*% t(Z) + exp(2 * p[7]) * diag(length(i))
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
  (4 * at(5e-4) - at(1e-3)) / 3
}

described <- function(men) {
  rows <- draws_of(men)
  tight <- lmeControl(opt = "optim", optimMethod = "BFGS", msMaxIter = 1000, msTol = 1e-12, tolerance = 1e-12,
                      reltol = 1e-14, niterEM = 50, maxIter = 200)
  byNlme <- lme(y ~ x + on, random = ~ on | man, data = rows, method = "ML", control = tight)
  byLme4 <- lmer(y ~ x + on + (on | man), data = rows, REML = FALSE,
                 control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5)))
  spread <- VarCorr(byLme4)$man
  sd <- attr(spread, "stddev"); r <- attr(spread, "correlation")[1, 2]
  p <- c(fixef(byLme4), log(sd), atanh(r), log(sigma(byLme4)))
  index <- split(seq_len(nrow(rows)), rows$man)
  error <- sqrt(diag(solve(-curvature(function(q) log_likelihood(q, rows, index), p))))
  nlmeSd <- as.numeric(VarCorr(byNlme)[, "StdDev"]); nlmeR <- as.numeric(VarCorr(byNlme)["on", "Corr"])
  list(n_draws = nrow(rows),
       fixed_nlme = as.numeric(fixef(byNlme)), fixed_lme4 = as.numeric(fixef(byLme4)),
       # Of the fixed effects at known spreads; summary() of nlme multiplies its own by sqrt(n / (n - 3)).
       fixed_se_nlme = as.numeric(sqrt(diag(byNlme$varFix))), fixed_se_lme4 = as.numeric(sqrt(diag(as.matrix(vcov(byLme4))))),
       spread_nlme = c(nlmeSd[1:2], nlmeR, nlmeSd[3]), spread_lme4 = as.numeric(c(sd, r, sigma(byLme4))),
       # Standard errors of all seven at once, from the curvature of the log-likelihood that lme4 maximised.
       se_of_all = as.numeric(error),
       log_likelihood_nlme = as.numeric(logLik(byNlme)), log_likelihood_lme4 = as.numeric(logLik(byLme4)),
       level_lme4 = as.numeric(ranef(byLme4)$man[1:6, 1]), response_lme4 = as.numeric(ranef(byLme4)$man[1:6, 2]))
}

number <- function(v) paste0("[", paste(formatC(v, digits = 12, format = "g", width = 1), collapse = ", "), "]")
object <- function(case) paste0("{", paste0("\"", names(case), "\": ", sapply(case, number), collapse = ",\n  "), "}")
cases <- list("200 men" = described(200), "2000 men" = described(2000))
writeLines(paste0("{\n", paste0(" \"", names(cases), "\": ", sapply(cases, object), collapse = ",\n"), "\n}"),
           "dose_response_lme.json")
