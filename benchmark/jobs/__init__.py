"""Scheduled runs: a table of jobs, when each is due, what runs it, and its native equivalents."""
