"""A plug-in file that makes real trouble, for the tests of workers: each kind is a method whose loss goes wrong at its first call."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import TYPE_CHECKING

from benchmark.methods import Method, Step, Train
from benchmark.records import Problem
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from benchmark.methods import Loss

KINDS = ("hang", "raise", "segfault", "memory", "leave", "kill", "sleep", "child", "linger")


@plugin("trouble")
class Trouble(Method):
    """Goes wrong in the training step."""

    kind_of: str = parameter("raise", doc="what goes wrong", choices=KINDS)
    mark: str = parameter("", doc="a file to write the process number to when it happens")

    def steps(self, problem: Problem) -> tuple[Step, ...]:
        return (Train(by=self, own_loss=True),)

    def loss(self, problem: Problem) -> Loss:
        import torch

        plain = torch.nn.CrossEntropyLoss()

        def loss(logits, labels):
            if self.mark:
                with open(self.mark, "w") as file:
                    file.write(str(os.getpid()))
            getattr(self, f"_{self.kind_of}")()
            return plain(logits, labels)

        return loss

    def _hang(self) -> None:
        ctypes.PyDLL(None).sleep(3600)  # in C, holding the interpreter's lock: no Python signal handler can run

    def _raise(self) -> None:
        raise RuntimeError("something is wrong here")

    def _segfault(self) -> None:
        ctypes.string_at(0)

    def _memory(self) -> None:
        import torch

        kept = [torch.ones(1 << 24) for _ in range(200)]  # 64 MiB each, 12.5 GiB in all
        assert kept

    def _leave(self) -> None:
        os._exit(7)

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _sleep(self) -> None:
        time.sleep(3600)

    def _linger(self) -> None:
        time.sleep(0.05)  # a second for twenty steps: long enough to be met in flight, short enough to end in time

    def _child(self) -> None:
        """Leaves a child in a session of its own behind and hangs."""
        import subprocess

        process = subprocess.Popen(["sleep", "3600"], start_new_session=True)
        with open(self.mark, "w") as file:
            file.write(str(process.pid))
        time.sleep(3600)
