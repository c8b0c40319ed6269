"""skewbench's core: suites, plans, training, metrics and the ledger. No MLflow and no plotting in here."""

__version__ = "0.1.0"
