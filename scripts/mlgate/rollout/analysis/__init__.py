"""Whether a canary is as good as stable: counts and quantiles that may be looked at as often as anybody likes."""
