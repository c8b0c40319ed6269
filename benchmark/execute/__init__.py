"""Turning stages into results: data, the training loop, predictions, profiles."""
