"""What a store can give away of a finished cell: its predictions, and its network as a model that loads without running any code.

A model is four files: `model.safetensors` (weights), `model.json` (which plug-in with which parameters, classes, image shape, and what is
subtracted from log-probabilities afterwards), `input_example.json` (one image's pixels) and MLflow's own `MLmodel` (signature, where the
others are). `load` makes a callable of them. No file holds a pickle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import registry
from benchmark.arrays import DamagedFile
from benchmark.errors import UserError
from benchmark.identity import canonical
from benchmark.ledger import Ledger
from benchmark.stages import CellStages, Stage

WEIGHTS, DESCRIPTION, EXAMPLE, MLMODEL = "model.safetensors", "model.json", "input_example.json", "MLmodel"
PARTS = ("test", "validation")


@dataclass(frozen=True)
class LoggedModel:
    """A trained network as files."""

    name: str
    files: Mapping[str, bytes]


def predictions_of(work: CellStages, ledger: Ledger) -> bytes | None:
    """Scores (log-probabilities [N, K]) and labels [N] of each part, safetensors; None where they are gone or damaged."""
    from safetensors.numpy import save

    arrays = _arrays(work.last, ledger)
    wanted = {f"{part}.{kind}" for part in PARTS for kind in ("scores", "labels")}
    found = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items() if name in wanted}
    return save(found) if found else None


def model_of(work: CellStages, ledger: Ledger) -> LoggedModel | None:
    """The network that made the cell's predictions; None where its weights were not kept."""
    from safetensors.numpy import save

    chain = work.last.chain
    weights = dict(_arrays(chain[0], ledger) or {})
    if not weights:
        return None
    for stage in chain[1:]:
        if stage.op.startswith("finetune"):
            weights |= {name: array for name, array in (_arrays(stage, ledger) or {}).items() if name.startswith("head.")}
    description = _description(work, chain)
    files = {
        WEIGHTS: save({name: np.ascontiguousarray(array) for name, array in weights.items()}),
        DESCRIPTION: json.dumps(description, indent=1).encode(),
        EXAMPLE: json.dumps(np.zeros((1, *description["image_shape"]), dtype=int).tolist()).encode(),
        MLMODEL: _mlmodel(description).encode(),
    }
    return LoggedModel(f"{work.cell.config.model.name}-{work.key[:8]}", files)


def _arrays(stage: Stage, ledger: Ledger) -> Mapping[str, NDArray[np.generic]] | None:
    row = ledger.stage(stage.key)
    if row is None or row.file is None:
        return None
    try:
        return ledger.arrays(row)
    except DamagedFile:
        return None


def _description(work: CellStages, chain: tuple[Stage, ...]) -> dict[str, Any]:
    config = chain[0].config
    offset = [sum(column) for column in zip(*(stage.config["offset"] for stage in chain if stage.op == "adjust"), strict=True)]
    return {
        "format": 1,
        "cell": work.key,
        "model": config["model"],
        "preprocess": config["recipe"]["preprocess"],
        "image_shape": list(config["image_shape"]),
        "class_names": list(work.class_names),
        "subtract": offset,
    }


def _mlmodel(description: Mapping[str, Any]) -> str:
    """MLflow's description of a model, YAML (which JSON is): what goes in and comes out, and where the rest is."""
    image = {"dtype": "uint8", "shape": [-1, *description["image_shape"]]}
    scores = {"dtype": "float32", "shape": [-1, len(description["class_names"])]}
    document = {
        "flavors": {"skewbench": {"weights": WEIGHTS, "description": DESCRIPTION, "loader": "benchmark.logged.load"}},
        "signature": {
            "inputs": json.dumps([{"type": "tensor", "tensor-spec": image}]),
            "outputs": json.dumps([{"type": "tensor", "tensor-spec": scores}]),
            "params": None,
        },
        "saved_input_example_info": {"artifact_path": EXAMPLE, "type": "ndarray", "format": "tf-serving"},
    }
    return json.dumps(document, indent=1)


def load(folder: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """From uint8 images [N, C, H, W] to log-probabilities [N, K], less what the method subtracts, as they were stored for the test part.

    UserError where a preprocessing learned from the training set would be needed: that is not part of a logged model.
    """
    import torch
    from safetensors.torch import load_file

    description = json.loads((folder / DESCRIPTION).read_text())
    if description["preprocess"] is not None:
        raise UserError(f"{folder}: its images went through '{canonical(description['preprocess'])}', which a logged model does not hold.")
    module = _network(description)
    module.load_state_dict(load_file(folder / WEIGHTS))
    module.eval()
    subtract_K = np.asarray(description["subtract"] or 0.0, dtype=np.float64)

    def predict(images_NCHW: NDArray[np.uint8]) -> NDArray[np.float64]:
        with torch.inference_mode():
            logits = module(torch.from_numpy(images_NCHW).float().div_(255))
        return np.asarray(logits.double().log_softmax(dim=1).float().numpy(), dtype=np.float64) - subtract_K

    return predict


def _network(description: Mapping[str, Any]) -> Any:
    model: Any = registry.build("models", description["model"])
    channels, height, width = description["image_shape"]
    return model.build((channels, height, width), len(description["class_names"]))
