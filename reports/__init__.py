"""Tables, figures and pages from results. Plotting has its only door here."""
