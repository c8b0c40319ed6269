"""Arm T: the textbook script, a process per cell.

Dataset, DataLoader with two workers and a transform per item, plain SGD, `log_metric`.
"""

from __future__ import annotations

import argparse
import json

import mlflow
import numpy as np
import torch
from cells import images_of, metrics_of, plan_of, rate, work_of
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmark import registry


class Rows(Dataset):
    def __init__(self, images, labels, rows):
        self.images, self.labels, self.rows = images, labels, rows
        self.transform = transforms.Compose([transforms.ToPILImage(), transforms.ToTensor()])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        return self.transform(torch.from_numpy(self.images[row])), int(self.labels[row])


def train(network, parameters, data, work, base):
    optimizer = torch.optim.SGD(parameters, lr=base, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    step = epoch = 0
    while step < work.iterations:
        losses, right, seen = 0.0, 0, 0
        for x, y in DataLoader(data, batch_size=work.batch, shuffle=True, num_workers=2, drop_last=len(data) >= work.batch):
            optimizer.param_groups[0]["lr"] = rate(step, base)
            logits = network(x)
            loss = criterion(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += loss.item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
            seen += len(y)
            step += 1
            if step == work.iterations:
                break
        mlflow.log_metric("loss", losses / seen, step=epoch)
        mlflow.log_metric("train_accuracy", right / seen, step=epoch)
        epoch += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("suite")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--cell", type=int, required=True)
    parser.add_argument("--tracker", required=True)
    given = parser.parse_args()
    torch.set_num_threads(2)
    suite, plan = plan_of(given.suite, given.set, given.seeds)
    work, images = work_of(plan, given.cell), images_of(plan)
    torch.manual_seed(work.seed)
    network = registry.build("models", "lenet5").build(images.shape[1:], len(work.class_counts))
    mlflow.set_tracking_uri(f"sqlite:///{given.tracker}")
    mlflow.set_experiment("arm-t")
    with mlflow.start_run():
        mlflow.log_params({"method": work.name, "seed": work.seed})
        network.train()
        train(network, network.parameters(), Rows(images, work.labels, work.train), work, 0.01)
        if work.two_phase:
            for parameter in network.parameters():
                parameter.requires_grad_(False)
            for parameter in network.head.parameters():
                parameter.requires_grad_(True)
            train(network, network.head.parameters(), Rows(images, work.labels, work.original), work, 0.001)
        network.eval()
        with torch.no_grad():
            test = DataLoader(Rows(images, work.labels, work.test), batch_size=256, num_workers=2)
            scores = torch.cat([network(x).double().log_softmax(1) for x, _ in test]).numpy()
        if work.thresholds:
            scores = scores - np.log(np.array(work.class_counts) / sum(work.class_counts))
        metrics = metrics_of(suite, work, scores)
        for name, value in metrics.items():
            mlflow.log_metric(name.replace("/", "."), value)
    print(json.dumps({"method": work.name, "seed": work.seed, "auc": metrics["auc"], "accuracy": metrics["accuracy"]}))


if __name__ == "__main__":
    main()
