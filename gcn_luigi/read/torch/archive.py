"""Check a ``.pt2`` archive of `torch.export`, and load the parts of it that are data and known operators.

`torch.export.load` runs Python from the archive in several places: it unpickles sample inputs, and weights or constants
that are marked so; it evaluates the expressions of sizes and runs the conditions on inputs as code; and it loads
compiled libraries. So the archive is not given to it. The parts are checked, each against a list of what may be there,
and a new archive is made of them in memory, with sample inputs of our own and without conditions. Source: the modules
``torch.export.pt2_archive._package``, ``torch._export.serde.serialize`` and ``torch.export._unlift`` of torch 2.13.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gcn_luigi.errors import InputError

# The name of the description of a model within its archive.
CARD = "gcn_luigi.json"
_GRAPH, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PARTS = re.compile(
    r"data/(weights/weight|constants/tensor)_\d+|archive_format|archive_version|byteorder|\.data/version"
)
# Made again, or not needed.
_LEFT_OUT = (_SAMPLES, f"extra/{CARD}", ".data/serialization_id")
_TARGET = re.compile(
    r"torch\.ops\.aten\.[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*|torch\.sym_(max|min|int|float|ite|not)"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_)"
)
# Operators that read files.
_REFUSED_TARGETS = ("torch.ops.aten.from_file",)
_SYMBOL = re.compile(r"Symbol\('[a-z]+\d+'(, (positive|nonnegative|integer)=True)*\)")
# Without powers: a tower of them would never be computed.
_EXPRESSION = re.compile(r"(\s|\d+|[(),+/-]|\*(?!\*)|\b(Add|Mul|Integer|Rational|Max|Min|FloorDiv|Mod|CleanDiv)\b)*")
_NAME = re.compile(r"[\w.]*", re.ASCII)
_WORD = re.compile(r"[\w.:+-]*", re.ASCII)
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def load_archive(path: Path) -> tuple[torch.nn.Module, str]:
    """Return the program of an archive as a module, and the text of its `CARD`; empty if it has none.

    Raises
    ------
    InputError
        The file is not such an archive, is cut off, or holds something that would be run instead of read.
    """
    parts = _parts(path)
    card = parts.pop(f"extra/{CARD}", b"").decode("utf-8", "replace")
    for name in _CONFIGS:
        _check_tensors(path, name, parts)
    try:
        graph = json.loads(parts[_GRAPH])
        for node in graph["graph_module"]["graph"]["nodes"]:
            node["metadata"] = {}
        graph["guards_code"] = []
        n_bands = _inputs(graph)
        problems = list(_problems(graph, ""))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise _strange(path, f"its graph cannot be read ({type(error).__name__}: {error})") from error
    if problems:
        raise _unsafe(path, problems[0])
    samples = io.BytesIO()
    torch.save(((torch.zeros(2, *n_bands),), {}), samples)
    parts |= {_GRAPH: json.dumps(graph).encode(), _SAMPLES: samples.getvalue()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(f"model/{name}", content)
    packed.seek(0)
    try:
        program = torch.export.load(packed).module()
    # A program of another version of torch fails in many ways.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise _strange(path, f"torch {torch.__version__} cannot load it ({type(error).__name__}: {reason})") from error
    return program, card


def _parts(path: Path) -> dict[str, bytes]:
    """Return the parts of the archive by name without the folder, each of a known kind and not compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            found: dict[str, bytes] = {}
            entries = archive.infolist()
            # If the end is missing, the end of the sample inputs, an archive within the archive, is taken for it.
            if not entries or min(entry.header_offset for entry in entries) > 0:
                raise _strange(path, "it is cut off")
            for entry in entries:
                name = entry.filename.partition("/")[2]
                if entry.compress_type != zipfile.ZIP_STORED or name in found:
                    raise _strange(path, f"{entry.filename} is compressed, or is there twice")
                known = (*_CONFIGS, *_LEFT_OUT, _GRAPH)
                if name not in known and not _PARTS.fullmatch(name):
                    raise _unsafe(path, f"the part {entry.filename}")
                found[name] = b"" if name in {_SAMPLES, ".data/serialization_id"} else archive.read(entry)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _strange(path, f"it is cut off, or is no archive of torch.export ({error})") from error
    if missing := [name for name in (_GRAPH, *_CONFIGS) if name not in found]:
        raise _strange(path, f"it lacks {missing[0]}, which torch.export of 2.8 and later writes")
    found.pop(".data/serialization_id", None)
    return found


def _check_tensors(path: Path, name: str, parts: dict[str, bytes]) -> None:
    """Raise InputError if a weight or a constant is anything but the bytes of a tensor."""
    try:
        config = json.loads(parts[name])["config"]
        for fqn, said in config.items():
            if said["use_pickle"] is not False or not isinstance(said["tensor_meta"], dict):
                raise _unsafe(path, f"{fqn}, which is pickled")
            content = parts.get(f"{name.rpartition('/')[0]}/{said['path_name']}")
            sizes = [size["as_int"] for size in said["tensor_meta"]["sizes"]]
            # Values that are not there, or are on no real device, would be whatever the memory holds.
            if content is None or said["tensor_meta"]["device"]["type"] != "cpu" or (not content and 0 not in sizes):
                raise _strange(path, f"it lacks the values of {fqn}")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _strange(path, f"{name} cannot be read ({type(error).__name__}: {error})") from error


def _inputs(graph: dict[str, Any]) -> list[int]:
    """Return the sizes of the image that the program takes, (band, y, x); raise ValueError if it takes others."""
    module = graph["graph_module"]
    names = [
        said["user_input"]["arg"]["as_tensor"]["name"]
        for said in module["signature"]["input_specs"]
        if "user_input" in said
    ]
    if len(names) != 1:
        raise ValueError(f"it takes {len(names)} inputs, not one image")
    sizes = module["graph"]["tensor_values"][names[0]]["sizes"]
    if len(sizes) != 4:
        raise ValueError("its input is not (chip, band, y, x)")
    return [int(size["as_int"]) for size in sizes[1:]]


def _problems(value: Any, key: str) -> Iterator[str]:
    """Yield what in a graph might be run when it is loaded."""
    if isinstance(value, dict):
        for inner, content in value.items():
            if not _WORD.fullmatch(inner):
                yield f"the name {inner[:60]!r}"
            yield from _problems(content, inner)
    elif isinstance(value, list):
        for content in value:
            yield from _problems(content, key)
    elif isinstance(value, str) and not _is_plain(value, key):
        yield f"{key} {value[:60]!r}"


def _is_plain(value: str, key: str) -> bool:
    if key == "target":
        return bool(_TARGET.fullmatch(value)) and not value.startswith(_REFUSED_TARGETS)
    if key == "expr_str":
        return bool(_EXPRESSION.fullmatch(_SYMBOL.sub("1", value)))
    if key in {"in_spec", "out_spec"}:
        return _is_plain_tree(json.loads(value))
    pattern = _WORD if key in {"torch_version", "type", "device", "as_string"} else _NAME
    return bool(pattern.fullmatch(value))


def _is_plain_tree(tree: Any) -> bool:
    """Return whether the description of arguments, ``[version, node]``, names no class but plain containers."""
    if not isinstance(tree, list) or len(tree) != 2:
        return False
    ahead = [tree[1]]
    while ahead:
        node = ahead.pop()
        if node["type"] not in _CONTAINERS or node["context"] not in {None, "null", "[]"}:
            return False
        ahead += node["children_spec"]
    return True


def _strange(path: Path, what: str) -> InputError:
    return InputError(
        f"is not a model file that can be used: {what}",
        where=str(path),
        fix="write it again with gcn_luigi.read.torch.save_model, or copy it again",
    )


def _unsafe(path: Path, what: str) -> InputError:
    return InputError(
        f"holds something that torch would run and not only read: {what}",
        where=str(path),
        fix="save the weights as .safetensors with gcn_luigi.read.torch.save_model, and name their architecture",
    )
