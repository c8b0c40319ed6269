"""The regression check: accepted baselines, paired judgements of quality, time and memory, and what changed between the two."""
