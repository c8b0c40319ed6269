"""Our training step against a bare loop of the same arithmetic, in one process, interleaved."""

from __future__ import annotations

import contextlib
import itertools
import time

import torch
from paired import compare, report
from torch import nn

from benchmark import registry
from benchmark.execute.batches import stream
from benchmark.execute.context import choose_machine
from benchmark.execute.loop import TrainingSet, train_chunk

STEPS = 60


def arms(batch: int):
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (20_000, 1, 28, 28), dtype=torch.uint8, generator=random)
    labels = torch.randint(0, 10, (20_000,), generator=random)
    data = TrainingSet(images, labels, torch.arange(20_000))

    def made():
        torch.manual_seed(0)
        network = registry.build("models", "lenet5").build((1, 28, 28), 10).to(memory_format=torch.channels_last)
        return network, torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)

    (network, optimizer), (bare_network, bare_optimizer) = made(), made()
    loss = nn.CrossEntropyLoss()
    batches = stream(20_000, batch, 10_000_000, seed=0)

    def ours() -> float:
        chunk = [((picked, None), 0.01) for picked in itertools.islice(batches, STEPS)]
        losses = torch.zeros(STEPS)
        begun = time.perf_counter()
        train_chunk(network, data, optimizer, loss, chunk, losses, contextlib.nullcontext(), penalised=[], l1=0.0)
        return time.perf_counter() - begun

    def bare() -> float:
        chunk = list(itertools.islice(batches, STEPS))
        begun = time.perf_counter()
        for picked in chunk:
            bare_optimizer.param_groups[0]["lr"] = 0.01
            value = nn.functional.cross_entropy(bare_network(images[picked].float() / 255), labels[picked])
            bare_optimizer.zero_grad(set_to_none=True)
            value.backward()
            bare_optimizer.step()
        return time.perf_counter() - begun

    ours(), bare()
    return {"ours": ours, "bare": bare}


if __name__ == "__main__":
    choose_machine("cpu", 1)
    report(*(compare(f"training step, batch {batch}", arms(batch), pairs=15) for batch in (32, 64, 128)))
