"""When a job is due: APScheduler's cron triggers, made from our own table of jobs. The one door to that library."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from benchmark.errors import UserError
from benchmark.jobs.cron import WEEKDAYS, parse_cron

if TYPE_CHECKING:
    from benchmark.jobs.table import Job


def fires_after(job: Job, at: float) -> Iterator[float]:
    """The times at which a job is due after `at`, Unix seconds, ascending and without end."""
    triggers = _triggers(job)
    zone = zone_of(job.timezone)
    last = datetime.fromtimestamp(at, zone)
    while True:
        times = [trigger.get_next_fire_time(last, last) for trigger in triggers]
        found = [time for time in times if time is not None]
        assert found, f"{job.cron} is never due"  # parse_cron refuses such a line
        last = min(found, key=lambda time: time.timestamp())
        yield last.timestamp()


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name; UserError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(f"unknown time zone '{name}': expected a name such as UTC or Europe/Berlin.") from error


def local_zone() -> str:
    """The name of this machine's time zone; UTC where it has none that is known by name."""
    _require()
    from tzlocal import get_localzone_name

    try:
        return str(zone_of(get_localzone_name() or "UTC"))
    except UserError:
        return "UTC"


def shown_time(at: float, timezone: str = "UTC") -> str:
    """`2026-11-24 03:00 UTC`."""
    time = datetime.fromtimestamp(at, UTC if timezone == "UTC" else zone_of(timezone))
    return time.strftime("%Y-%m-%d %H:%M %Z")


def _triggers(job: Job) -> list[Any]:
    """One, or two where either of two days is enough. APScheduler takes all fields together, and Monday for 0: days go by name."""
    _require()
    from apscheduler.triggers.cron import CronTrigger

    cron = parse_cron(job.cron)
    listed = [None if values is None else ",".join(map(str, values)) for values in (cron.minutes, cron.hours, cron.months)]
    minute, hour, month = (text or "*" for text in listed)
    return [
        CronTrigger(
            minute=minute,
            hour=hour,
            month=month,
            day="*" if days is None else ",".join(map(str, days)),
            day_of_week="*" if weekdays is None else ",".join(WEEKDAYS[day] for day in weekdays),
            timezone=zone_of(job.timezone),
        )
        for days, weekdays in cron.day_choices
    ]


def _require() -> None:
    try:
        import apscheduler  # noqa: F401  # asked for before it is needed, so that the remedy can be told
    except ImportError as error:
        raise UserError("schedules need APScheduler: pip install 'skewbench[schedule]'") from error
