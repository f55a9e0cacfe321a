"""Files of models that say what they were trained on: ``.pt2`` programs, and ``.safetensors`` weights.

Neither is unpickled: a pickle can run any program when it is read. `gcn_luigi.read.torch.archive` says what of a
``.pt2`` is loaded.
"""

import importlib
import importlib.util
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.io.publish.atomic import atomic_write, digest
from gcn_luigi.read.prediction.card import Model, ModelCard
from gcn_luigi.read.torch.archive import CARD, load_archive

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

PROGRAM, WEIGHTS = ".pt2", ".safetensors"
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".bin")
# The key of the header of safetensors.
_KEY = "gcn_luigi"
_ARCHITECTURE = re.compile(r"(?P<place>.+):(?P<name>[A-Za-z_]\w*)")


def save_model(
    model: torch.nn.Module, path: str | os.PathLike[str], dataset: "Dataset", size: int | None = None
) -> ModelCard:
    """Write a trained model together with what it was trained on: bands, statistics, classes and size of windows.

    Parameters
    ----------
    model : torch.nn.Module
        Takes images (chip, band, y, x) float32, normalised as by `gcn_luigi.read.normalise.normalise`, with all bands
        of `dataset` in order. It returns the score of each class before softmax, (chip, class, y, x).
    path : path-like
        Ends in ``.pt2``: the computation and the weights, which run without the code of the model, for windows of
        `size` alone. Or in ``.safetensors``: the weights alone. A file with this name is replaced.
    dataset : Dataset
        The dataset of the training.
    size : int, optional
        Edge of a window in pixels; that of a chip without it.

    Returns
    -------
    ModelCard
        What the file says about the model.

    Raises
    ------
    ConfigError
        The end of the path is another one, torch cannot export the model, or safetensors is not installed.
    ShardError
        The statistics lack a band.
    PublishError
        The file system refuses the file.
    """
    out, card = Path(path), ModelCard.of(dataset, size)
    if out.suffix not in {PROGRAM, WEIGHTS}:
        raise ConfigError(f"ends in {out.suffix or 'nothing'}", where=str(out), fix=f"end it in {PROGRAM} or {WEIGHTS}")
    if out.suffix == WEIGHTS:
        _check_safetensors()
        from safetensors.torch import save_file  # noqa: PLC0415  only for these files

        # Copies, because modules may share a tensor and the format may not.
        weights = {name: values.detach().cpu().clone().contiguous() for name, values in model.state_dict().items()}
        with atomic_write(out) as temporary:
            save_file(weights, temporary, metadata={_KEY: card.as_json()})
        return card
    program = _exported(model, card)
    with atomic_write(out) as temporary:
        torch.export.save(program, str(temporary), extra_files={CARD: card.as_json()})
    return card


def load_model(path: str | os.PathLike[str], architecture: str | None = None) -> Model:
    """Return a model that `save_model` wrote.

    Parameters
    ----------
    path : path-like
        A ``.pt2`` or ``.safetensors`` file.
    architecture : str, optional
        For weights alone: what makes the model, as ``package.module:callable`` or ``file.py:callable``. It is called
        with the number of bands and of classes. Its code is run.

    Returns
    -------
    Model
        For `gcn_luigi.read.prediction.predict`.

    Raises
    ------
    InputError
        The file is missing, cut off, does not say what the model was trained on, or holds something that would be run.
    ConfigError
        The file is a pickle, the architecture is missing, cannot be imported, or has other weights, or safetensors is
        not installed.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("is not a file on this machine", where=str(file), fix="correct the path")
    if file.suffix not in {PROGRAM, WEIGHTS}:
        is_pickle = file.suffix in _PICKLES
        raise ConfigError(
            "is a pickle, which can run any program when it is read" if is_pickle else "is not a model file",
            where=str(file),
            fix="where the model was trained, load it and write it again: "
            "gcn_luigi.read.torch.save_model(model, 'model.pt2', dataset)",
        )
    if file.suffix == PROGRAM:
        if architecture is not None:
            what = "a .pt2 file holds the whole model, so an architecture is not needed"
            raise ConfigError(what, where=str(file), fix="leave the architecture out")
        module, text = load_archive(file)
        return Model(module, ModelCard.from_json(text, str(file)), digest(file), fixed_size=True)
    weights, text = _weights(file)
    card = ModelCard.from_json(text, str(file))
    if architecture is None:
        raise ConfigError(
            "holds weights alone, and not the model that they belong to",
            where=str(file),
            fix="name what makes the model, such as examples/unet.py:unet, or save it as .pt2",
        )
    module = make_model(architecture, len(card.bands), len(card.classes))
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        what = f"its weights are not those of {architecture}: {reason[:300]}"
        raise ConfigError(what, where=str(file), fix="name the architecture that was trained") from error
    return Model(module.eval(), card, digest(file))


def make_model(architecture: str, bands: int, classes: int) -> torch.nn.Module:
    """Return a model with random weights from ``package.module:callable`` or ``file.py:callable``; its code is run.

    Raises
    ------
    ConfigError
        The name cannot be understood, the module cannot be imported, or it makes no module of torch.
    """
    fix = "give package.module:callable or file.py:callable; it is called with the number of bands and of classes"
    found = _ARCHITECTURE.fullmatch(architecture)
    if found is None:
        raise ConfigError("is not the name of an architecture", where=architecture, fix=fix)
    make = getattr(_module(found["place"], fix), found["name"], None)
    if not callable(make):
        raise ConfigError(f"there is no {found['name']} in {found['place']}", where=architecture, fix=fix)
    try:
        model = make(bands, classes)
    except TypeError as error:
        raise ConfigError(f"it could not be called: {error}", where=architecture, fix=fix) from error
    if not isinstance(model, torch.nn.Module):
        raise ConfigError(f"it makes a {type(model).__name__} and not a torch.nn.Module", where=architecture, fix=fix)
    return model


def _module(place: str, fix: str) -> Any:
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        if spec is None or spec.loader is None:
            raise ConfigError("cannot be imported", where=place, fix=fix)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (ImportError, OSError, SyntaxError) as error:
        raise ConfigError(f"cannot be imported: {error}", where=place, fix=fix) from error
    return module


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    modes = {one: one.training for one in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for one, mode in modes.items():
            one.training = mode


def _exported(model: torch.nn.Module, card: ModelCard) -> Any:
    """Return the program of a model, for any number of chips."""
    home = next((values.device for values in model.state_dict().values()), torch.device("cpu"))
    # Two chips, because torch takes a size of 1 for a constant.
    images = torch.zeros(2, len(card.bands), card.size, card.size)
    try:
        with _evaluating(model), warnings.catch_warnings():
            # They are about versions of torch to come.
            warnings.simplefilter("ignore")
            program = torch.export.export(
                model.to("cpu"), (images,), dynamic_shapes=({0: torch.export.Dim("chips")},), strict=False
            )
    # torch raises errors of many classes for what it cannot export.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"torch cannot export the model: {type(error).__name__}: {reason}",
            where=f"{type(model).__name__}, images of {tuple(images.shape)}",
            fix="let it take any number of chips of this size, or save its weights alone as .safetensors",
        ) from error
    finally:
        model.to(home)
    for node in program.graph.nodes:
        # They name the files of the person who trained it.
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack"):
            node.meta.pop(key, None)
    return program


def _weights(file: Path) -> tuple[dict[str, torch.Tensor], str]:
    _check_safetensors()
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  only for these files

    try:
        with safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get(_KEY, "")
            return {name: opened.get_tensor(name) for name in opened.keys()}, text  # noqa: SIM118  not a mapping
    except (SafetensorError, OSError) as error:
        what = f"is not a model file that can be used: {error}"
        raise InputError(what, where=str(file), fix="copy it again, or write it again with save_model") from error


def _check_safetensors() -> None:
    if importlib.util.find_spec("safetensors") is None:
        raise ConfigError(
            "a .safetensors file needs safetensors, which is not installed",
            where="gcn_luigi.read.torch",
            fix="pip install safetensors, or use a .pt2 file",
        )
