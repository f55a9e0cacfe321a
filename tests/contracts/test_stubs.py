"""What the stubs say about the kernels is what the kernels are."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import gcn_luigi._core

STUBS = sorted(Path(gcn_luigi._core.__file__).parent.glob("*.pyi"))


def _stubbed(path):
    functions = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
    return {node.name: [argument.arg for argument in node.args.args] for node in functions}


def _kernels(stub):
    module = importlib.import_module(f"gcn_luigi._core.{stub.stem}")
    return {
        name: value
        for name, value in vars(module).items()
        if "cython_function" in type(value).__name__ and not name.startswith("_")
    }


def _embedded(function):
    """Argument names from the signature that the compiler put into the docstring."""
    signature = function.__doc__.splitlines()[0]
    inside = re.sub(r"\[[^\]]*\]", "", signature[signature.index("(") + 1 : signature.rindex(")")])
    return [argument.split()[-1] for argument in inside.split(",")]


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_a_stub_names_the_kernels_and_their_arguments(stub):
    stubbed = _stubbed(stub)

    assert stubbed.keys() == _kernels(stub).keys()
    for name, kernel in _kernels(stub).items():
        for variant in getattr(kernel, "__signatures__", {"": kernel}).values():
            assert list(inspect.signature(variant).parameters) == stubbed[name]


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_a_stub_and_the_embedded_signatures_agree(stub):
    # A kernel over several sample types embeds the signature of its dispatcher, not its own.
    plain = {name: kernel for name, kernel in _kernels(stub).items() if not hasattr(kernel, "__signatures__")}

    assert {name: _embedded(kernel) for name, kernel in plain.items()} == {name: _stubbed(stub)[name] for name in plain}


def test_every_kernel_module_has_a_stub():
    compiled = {path.name.split(".")[0] for path in Path(gcn_luigi._core.__file__).parent.glob("*.so")}

    assert compiled
    assert compiled <= {path.stem for path in STUBS}
