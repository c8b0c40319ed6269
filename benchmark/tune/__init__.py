"""Tuning with Optuna, by ask and tell: the only place that knows it. Trials are cells of the same engine, scored on validation alone."""
