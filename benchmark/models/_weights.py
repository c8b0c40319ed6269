"""Weights from outside: torchvision's for ImageNet, or a file of the user's. Nothing is unpickled but plain tensors."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import suites
from benchmark.errors import DataError, shown
from benchmark.places import default_folders

if TYPE_CHECKING:
    from torch import Tensor, nn

NONE, IMAGENET = "none", "imagenet"
IMAGENET_NAME = "IMAGENET1K_V1"
"""Which of torchvision's sets of weights; part of identity, as its files carry digests of their content in their names."""


def weights_identity(weights: str) -> str:
    """What the weights are, wherever they lie: a file by its content. DataError where it is absent. No torch."""
    if weights == NONE:
        return NONE
    if weights == IMAGENET:
        return f"torchvision/{IMAGENET_NAME}"
    path = find(weights)
    stat = path.stat()
    return f"sha256:{_digest(path, stat.st_mtime_ns, stat.st_size)}"


@functools.cache
def _digest(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(weights: str) -> Path:
    """A file of weights: a relative path is looked for in the working directory, in the data folders and beside the shipped suites."""
    given = Path(weights).expanduser()
    folders = [Path.cwd(), *default_folders().data, *map(Path, suites.__path__)]
    places = [given] if given.is_absolute() else [folder / given for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        searched = "".join(f"\n  - {place}" for place in places)
        raise DataError(
            f"the file of weights {shown(weights)} was not found. Looked for:{searched}\nGive a path (.safetensors, or .pt/.pth "
            f"with a state dict), or `weights: {IMAGENET}` (torchvision's) or `weights: {NONE}` (random, by `weights_seed`)."
        )
    return found.resolve()


def load_file(path: Path) -> Mapping[str, Tensor]:
    """A state dict from a safetensors file, or one that torch wrote, read with weights_only: no code is run."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file as load_safetensors

    try:
        found = load_safetensors(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read as weights ({error}): expected .safetensors, or a state dict as torch.save writes it."
        ) from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise DataError(f"{path} holds no state dict: expected tensors by name.")
    return found


def load_imagenet(network: str) -> Mapping[str, Tensor]:
    """Torchvision's weights of a network, from its cache or from the internet; DataError that says which file to put where."""
    import torch
    from torchvision.models import get_model_weights

    url = str(get_model_weights(network)[IMAGENET_NAME].url)
    name = url.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    wanted = re.findall(r"-([0-9a-f]{8,})\.", name)[0]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=wanted, progress=False)
        except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong digest is a RuntimeError
            raise DataError(_absent(network, path, url, error)) from error
    stat = path.stat()
    if not _digest(path, stat.st_mtime_ns, stat.st_size).startswith(wanted):
        raise DataError(f"{path} is damaged: the SHA-256 of its content does not begin with {wanted}. Remove it and fetch {url} again.")
    return load_file(path)


def _absent(network: str, path: Path, url: str, error: Exception) -> str:
    return (
        f"ImageNet weights of {network} are not here and could not be fetched ({error}). Put the file {path.name} into {path.parent} "
        f"(on a machine with internet: `curl -L -o {path.name} {url}`; TORCH_HOME names another folder than ~/.cache/torch), or choose "
        f"what to train on instead: `--set model.weights=PATH` (a state dict of {network}) or `--set model.weights=none` (random frozen "
        "features: another experiment, no published number compares)."
    )


def fill(base: nn.Module, state: Mapping[str, Tensor], *, what: str, dropped: Iterable[str]) -> None:
    """Load weights into a base; the prefix of a fine-tuned model of ours is taken off, names under `dropped` are left out."""
    counters = "num_batches_tracked"  # of batch norms: nothing goes by them
    names = {re.sub(r"^(prepared\.)?(base\.)?", "", name): tensor for name, tensor in state.items() if not name.endswith(counters)}
    own = {name: tensor for name, tensor in names.items() if not name.startswith(tuple(f"{each}." for each in dropped))}
    expected = {name: tensor for name, tensor in base.state_dict().items() if not name.endswith(counters)}
    missing, surplus = sorted(expected.keys() - own.keys()), sorted(own.keys() - expected.keys())
    wrong = [name for name in expected.keys() & own.keys() if expected[name].shape != own[name].shape]
    if missing or surplus or wrong:
        parts = (("lacks", missing), ("has also", surplus), ("has other shapes of", sorted(wrong)))
        told = "; ".join(f"{words} {', '.join(names[:3])}{' …' if len(names) > 3 else ''}" for words, names in parts if names)
        raise DataError(f"the weights of {what} are those of another network: the file {told}.")
    base.load_state_dict(own, strict=False)
