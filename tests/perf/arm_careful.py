"""Arm C: careful code for one model after the other. The honest opponent: every trick that makes a single training fast, nothing shared.

Images resident as uint8, batches by index, fused SGD, channels last, as many threads as cores, denormals flushed, features of the frozen
network computed once per two-phase cell, one `log_batch` per cell.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import numpy as np
import torch
from cells import images_of, metrics_of, plan_of, rate, work_of
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from torch import nn

from benchmark import registry


def batches(rows: torch.Tensor, batch: int, steps: int, random: torch.Generator):
    left = rows[torch.randperm(len(rows), generator=random)]
    for _ in range(steps):
        while len(left) < batch:
            left = torch.cat([left, rows[torch.randperm(len(rows), generator=random)]])
        yield left[:batch]
        left = left[batch:]


def train(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, work, base: float, random) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=base, momentum=0.9, weight_decay=5e-4, fused=True)
    for step, picked in enumerate(batches(rows, work.batch, work.iterations, random)):
        optimizer.param_groups[0]["lr"] = rate(step, base)
        x = inputs[picked]
        x = x.float().div_(255) if x.dtype == torch.uint8 else x
        loss = nn.functional.cross_entropy(network(x), labels[picked])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


@torch.inference_mode()
def outputs(network: nn.Module, inputs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    network.eval()
    parts = [inputs[part] for part in rows.split(1024)]
    return torch.cat([network(x.float().div_(255) if x.dtype == torch.uint8 else x) for x in parts])


def cell(images: torch.Tensor, work) -> np.ndarray:
    """Log-probabilities of the test images."""
    random = torch.Generator().manual_seed(work.seed)
    torch.manual_seed(work.seed)
    network = registry.build("models", "lenet5").build(tuple(images.shape[1:]), len(work.class_counts))
    network = network.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(work.labels)
    train(network, images, labels, torch.from_numpy(work.train), work, 0.01, random)
    if work.two_phase:
        head, network.head = network.head, nn.Identity()
        rows = torch.from_numpy(work.original)
        features = outputs(network, images, rows).clone()
        train(head, features, labels[rows], torch.arange(len(rows)), work, 0.001, random)
        network.head = head
    scores = outputs(network, images, torch.from_numpy(work.test)).double().log_softmax(1).numpy()
    if work.thresholds:
        scores = scores - np.log(np.array(work.class_counts) / sum(work.class_counts))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("suite")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tracker", required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    suite, plan = plan_of(given.suite, given.set, given.seeds)
    images = torch.from_numpy(images_of(plan))
    client = MlflowClient(f"sqlite:///{given.tracker}")
    experiment = client.create_experiment("arm-c")
    seconds, found = [], []
    for index in range(len(plan.cells)):
        begun = time.perf_counter()
        work = work_of(plan, index)
        metrics = metrics_of(suite, work, cell(images, work))
        run = client.create_run(experiment)
        now = int(time.time() * 1000)
        params = [Param("method", work.name), Param("seed", str(work.seed))]
        client.log_batch(
            run.info.run_id, metrics=[Metric(k.replace("/", "."), v, now, 0) for k, v in metrics.items() if v == v], params=params
        )
        client.set_terminated(run.info.run_id)
        seconds.append(time.perf_counter() - begun)
        found.append({"method": work.name, "seed": work.seed, "auc": metrics["auc"], "accuracy": metrics["accuracy"]})
    print(json.dumps({"seconds": seconds, "cells": found}))


if __name__ == "__main__":
    main()
