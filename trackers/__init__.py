"""Where people browse results. MLflow has its only door here."""
