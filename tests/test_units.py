"""Times and sizes as people write them."""

from __future__ import annotations

import click
import pytest

from benchmark.cli.units import mebibytes, seconds


@pytest.mark.parametrize(
    ("text", "wanted"), [("90s", 90), ("30min", 1800), ("2h", 7200), ("1h30", 5400), ("1h 30min", 5400), ("1d", 86400), ("0.5h", 1800)]
)
def test_times(text, wanted):
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "90", "0s", "-5s", "2 hours", "1h30x", "h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(click.BadParameter, match="expected a time"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "wanted"), [("800MiB", 800), ("4GiB", 4096), ("4G", 4096), ("512k", 0.5), ("1.5 gb", 1536), ("1T", 2**20)]
)
def test_sizes(text, wanted):
    assert mebibytes(text) == wanted


@pytest.mark.parametrize("text", ["", "4", "0G", "-1G", "4 gigabytes"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="expected an amount"):
        mebibytes(text)
