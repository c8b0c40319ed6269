"""What a run says of its progress where there is no terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
import small

from benchmark.cli.console import PlainListener
from benchmark.execution import Slot
from benchmark.rows import StageRow
from benchmark.stages import Stage


def row_of(stage: Stage) -> StageRow:
    return StageRow(stage.key, stage.science_key, stage.op, stage.owner, stage.all_code, "ok", started=60.0, ended=70.0)


def test_the_time_that_is_left_follows_from_the_trainings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two at a time, ten seconds each, eight to do; the minute of measuring before says nothing of them."""
    now = [0.0]
    planned, ledger = small.plan(tmp_path, small.cells(["none"], seeds=[0, 1], iterations=1))
    ledger.close()
    trainings = [stage for stage in planned.stages.values() if stage.op == "train"]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    listener = PlainListener(num_trainings=8)
    now[0] = 60.0
    for training in trainings:
        listener.stage_started(training, Slot("cpu", 1))
    now[0] = 70.0
    for training in trainings:
        listener.stage_ended(training, row_of(training))
    told = capsys.readouterr().err.splitlines()
    assert [line.rpartition("about ")[2] for line in told] == ["43 s left", "30 s left"]
