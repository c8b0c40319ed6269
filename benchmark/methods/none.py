"""The baseline: train on the imbalanced set as it is."""

from __future__ import annotations

from benchmark.methods import Method, Step, Train
from benchmark.records import Problem
from benchmark.registry import plugin


@plugin("none")
class NoMethod(Method):
    """Plain cross-entropy on the imbalanced set: what every other method is compared with."""

    source = "Buda et al. 2018, §3.2 (baseline)"

    def steps(self, problem: Problem) -> tuple[Step, ...]:  # noqa: ARG002  # nothing of the problem matters here
        return (Train(by=self),)
