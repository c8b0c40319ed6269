"""Two-phase training: pre-train on resampled data, then the output layer alone on the data as they are."""

from __future__ import annotations

from benchmark.methods import Finetune, Method, Step
from benchmark.methods.ros import RandomOversampling
from benchmark.records import Problem
from benchmark.registry import parameter, plugin


@plugin("two-phase")
class TwoPhase(Method):
    """Train by a base method, then fine-tune the output layer on the original imbalanced set at a fraction of the learning rate.

    Phase 1 is the base method's own training. Phase 2 starts from its output layer and keeps recipe and budget: the schedule begins
    again, momentum starts at zero. The frozen part runs in evaluation mode (the paper does not say), so it is run once on each image and
    its features are kept. With `frozen_dropout` its dropout acts in phase 2 too, and every batch goes through the whole network: some
    thirty times the work, for nothing where the network has no dropout. Its batch norms keep the statistics of phase 1 either way.
    """

    source = "Buda et al. 2018, §3.2 (methods 4 and 5 of the digest); Havaei et al. 2017"

    base: Method = parameter(RandomOversampling(ratio=1.0), doc="the method of phase 1, such as ros or rus")
    lr_factor: float = parameter(0.1, doc="learning rate of phase 2 as a fraction of the recipe's", above=0, high=1, log=True)

    frozen_dropout: bool = parameter(False, doc="whether the frozen part's dropout acts in phase 2 (slower: features cannot be kept)")

    def steps(self, problem: Problem) -> tuple[Step, ...]:
        return (*self.base.steps(problem), Finetune(by=self, lr_factor=self.lr_factor, frozen_dropout=self.frozen_dropout))
