"""When jobs are due: against a minute-by-minute search by cron's own rules, and against systemd's calendar."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.jobs.cron import parse_cron
from benchmark.jobs.export import on_calendar
from benchmark.jobs.table import Job
from benchmark.jobs.times import fires_after, shown_time

NOW = datetime(2026, 11, 24, 12, 30, 15, tzinfo=UTC).timestamp()


def job(cron: str, timezone: str = "UTC") -> Job:
    return Job("j", "smoke", cron, timezone, "/", NOW)


def fires(cron: str, number: int = 3, *, after: float = NOW, timezone: str = "UTC") -> list[str]:
    times = itertools.islice(fires_after(job(cron, timezone), after), number)
    return [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in times]


def field(low: int, high: int, last: int | None = None) -> st.SearchStrategy[tuple[str, set[int]]]:
    """A field as it is written, and the values it stands for; `last`: the largest there is, if numbers are to stay below it."""
    last = high if last is None else last
    numbers = st.integers(low, high)
    some = st.lists(numbers, min_size=1, max_size=3).map(lambda found: (",".join(map(str, found)), set(found)))
    ranges = st.tuples(numbers, numbers).map(sorted).map(lambda ab: (f"{ab[0]}-{ab[1]}", set(range(ab[0], ab[1] + 1))))
    every = st.integers(2, 9).map(lambda step: (f"*/{step}", set(range(low, last + 1, step))))
    return st.one_of(st.just(("*", set(range(low, last + 1)))), some, ranges, every)


LINES = st.tuples(field(0, 59), field(0, 23), field(1, 28, 31), field(1, 12), field(0, 6))


def by_search(line: tuple[tuple[str, set[int]], ...], number: int) -> list[str]:
    """Cron's rules, minute by minute (skipping days that cannot be): where both days are restricted either is enough."""
    (_, minutes), (_, hours), (days_text, days), (_, months), (week_text, week) = line
    found: list[str] = []
    at = datetime.fromtimestamp(NOW, UTC).replace(second=0) + timedelta(minutes=1)
    while len(found) < number:
        matches = at.day in days, (at.isoweekday() % 7) in week
        is_day = any(matches) if "*" not in days_text[0] + week_text[0] else all(matches)
        if at.month not in months or not is_day:
            at = at.replace(hour=0, minute=0) + timedelta(days=1)
            continue
        if at.hour in hours and at.minute in minutes:
            found.append(at.strftime("%Y-%m-%d %H:%M"))
        at += timedelta(minutes=1)
    return found


@settings(max_examples=25)
@given(LINES)
def test_a_job_is_due_when_cron_says_so(line):
    text = " ".join(word for word, _ in line)
    assert fires(text) == by_search(line, 3)


@pytest.mark.parametrize(
    ("cron", "first"),
    [
        ("0 3 * * *", "2026-11-25 03:00"),
        ("@daily", "2026-11-25 00:00"),
        ("@weekly", "2026-11-29 00:00"),  # a Sunday
        ("0 0 * * 7", "2026-11-29 00:00"),
        ("0 0 * * 1", "2026-11-30 00:00"),  # 1 is Monday, though APScheduler's is 0
        ("0 9 * * mon-fri", "2026-11-25 09:00"),
        ("30 12 24 nov *", "2027-11-24 12:30"),  # this minute has begun
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 13 * fri", "2026-11-27 00:00"),  # a Friday, or a 13th
    ],
)
def test_lines_that_people_write(cron, first):
    assert fires(cron, 1) == [first]


def test_a_time_zone_has_its_summer():
    berlin = fires("30 2 * * *", 2, timezone="Europe/Berlin", after=datetime(2026, 6, 1, tzinfo=UTC).timestamp())
    assert berlin == ["2026-06-01 00:30", "2026-06-02 00:30"]
    winter = fires("30 2 * * *", 1, timezone="Europe/Berlin", after=datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    assert winter == ["2026-12-01 01:30"]
    assert shown_time(0.0, "Europe/Berlin") == "1970-01-01 01:00 CET"


WRONG = ("", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5/2 * * * *", "3-1 * * * *",
         "*/0 * * * *", "a * * * *", "1,,2 * * * *", "* * * * monday", "@reboot", "0 0 31 2 *",
         "0 0 30 feb *", "-1 * * * *", "1\n* * * *")  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_cron_line_is_refused(text):
    with pytest.raises(UserError, match="cron line"):
        parse_cron(text)


def test_a_line_in_numbers_means_the_same():
    for text in ("*/20 8-18/5 * jan,jul mon-fri", "@hourly", "0 0 1,15 * 7"):
        assert parse_cron(parse_cron(text).line) == parse_cron(text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("cron", ["0 3 * * *", "*/17 */5 * * mon-fri", "5 4 1-7 */3 *", "0 0 1,15 * 7"])
def test_systemd_reads_the_same_times(cron):
    """The timer's lines together, read by systemd itself."""
    base = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    found = []
    for line in on_calendar(parse_cron(cron), "Europe/Berlin"):
        command = ["systemd-analyze", "calendar", f"--base-time={base}", "--iterations=4", line]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"})
        found += re.findall(r"(?:elapse|#\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d):00 UTC", done.stdout)
    assert sorted(set(found))[:4] == fires(cron, 4, timezone="Europe/Berlin")
