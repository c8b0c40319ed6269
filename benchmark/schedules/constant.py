"""A constant learning rate."""

from benchmark.registry import plugin
from benchmark.schedules import Schedule


@plugin("constant")
class Constant(Schedule):
    """The base learning rate throughout."""

    def factor(self, step: int, total: int) -> float:  # noqa: ARG002  # the contract's arguments
        return 1.0
