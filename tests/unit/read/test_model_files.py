"""Model files give back the model and what it was trained on, and nothing in them is run."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, GcnLuigiError, InputError, PublishError
from gcn_luigi.read.prediction import ModelCard

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch import load_model, make_model, save_model  # noqa: E402

GRAPH, CARD = "models/model.json", "extra/gcn_luigi.json"
WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


def network(bands, classes):
    return torch.nn.Sequential(
        torch.nn.Conv2d(bands, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.Dropout(0.5),
        torch.nn.Conv2d(6, classes, 1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(dataset):
    torch.manual_seed(5)
    made = network(len(dataset.bands), len(dataset.classes))
    made[1].running_mean += 0.3
    return made


@pytest.fixture(scope="module")
def images(dataset):
    rng = np.random.default_rng(6)
    return torch.from_numpy(rng.normal(size=(5, len(dataset.bands), 32, 32)).astype(np.float32))


@pytest.fixture(scope="module")
def saved(dataset, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.pt2"
    save_model(model, path, dataset)
    return path


@pytest.fixture
def architecture(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n\ndef network(bands, classes):\n    return torch.nn.Sequential(torch.nn.Conv2d(bands, 6, 3,"
        " padding=1), torch.nn.BatchNorm2d(6), torch.nn.Dropout(0.5), torch.nn.Conv2d(6, classes, 1))\n\n"
        "def wide(bands, classes):\n    return torch.nn.Conv2d(bands, classes, 5)\n\n"
        "def text(bands, classes):\n    return 'no module'\n\nnumber = 3\n",
        encoding="utf-8",
    )
    return path


def parts_of(path):
    with zipfile.ZipFile(path) as archive:
        return {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}


def packed(parts, path, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(f"model/{name}", content)
    return path


def changed(saved, target, name, change):
    """Return a copy of a model file with another part: its JSON after `change`, or other bytes."""
    parts = parts_of(saved)
    if callable(change):
        content = json.loads(parts[name])
        change(content)
        parts[name] = json.dumps(content).encode()
    else:
        parts[name] = change
    return packed(parts, target / "other.pt2")


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def test_a_program_scores_like_the_model_for_any_number_of_images(dataset, model, saved, images):
    loaded = load_model(saved)

    model.eval()
    with torch.inference_mode():
        for count in (1, 2, 5):
            torch.testing.assert_close(loaded.module(images[:count]), model(images[:count]), rtol=0, atol=1e-6)
    assert loaded.card == ModelCard.of(dataset)
    assert loaded.fixed_size
    assert len(loaded.digest) == 64


def test_weights_score_like_the_model(dataset, model, images, architecture, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    save_model(model, tmp_path / "model.safetensors", dataset)
    loaded = load_model(tmp_path / "model.safetensors", f"{architecture}:network")

    model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(images), model(images), rtol=0, atol=0)
    assert loaded.card == ModelCard.of(dataset)
    assert not loaded.fixed_size
    assert not loaded.module.training


def test_saving_leaves_the_model_as_it_was(dataset, model, tmp_path):
    model.train()
    model[2].eval()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    save_model(model, tmp_path / "model.pt2", dataset)
    assert (model.training, model[1].training, model[2].training) == (True, True, False)
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name])


def test_a_file_names_no_path_of_the_machine_that_wrote_it(saved):
    text = b"".join(parts_of(saved).values())
    assert str(Path(__file__).parent).encode() not in text
    assert b"torch/nn/modules" not in parts_of(saved)[GRAPH]


def test_the_card_says_what_the_model_was_trained_on(dataset, saved):
    said = json.loads(parts_of(saved)[CARD])

    assert [band["name"] for band in said["bands"]] == [band.name for band in dataset.bands]
    assert [band["role"] for band in said["bands"]] == [str(band.role) for band in dataset.bands]
    for band in said["bands"]:
        assert band["mean"] == dataset.statistics["bands"][band["name"]]["mean"]
        assert band["std"] == dataset.statistics["bands"][band["name"]]["std"]
    assert [(one["name"], one["value"]) for one in said["classes"]] == [("none", 0), ("debris", 1), ("ice", 2)]
    assert (said["size"], said["dtype"], said["data_digest"]) == (32, "int16", dataset.data_digest)


@pytest.mark.parametrize("size", [None, 48])
def test_windows_of_another_size_are_saved_on_request(dataset, model, tmp_path, size):
    save_model(model, tmp_path / "model.pt2", dataset, size=size)
    loaded = load_model(tmp_path / "model.pt2")
    edge = size or 32
    assert loaded.card.size == edge
    assert loaded.module(torch.zeros(1, len(dataset.bands), edge, edge)).shape == (1, 3, edge, edge)
    with pytest.raises(ConfigError, match="0 pixels"):
        save_model(model, tmp_path / "model.pt2", dataset, size=0)


def test_sample_inputs_are_never_unpickled(saved, images, tmp_path):
    for content in (pickle.dumps(Bomb(tmp_path / "a")), b"", b"no pickle"):
        other = changed(saved, tmp_path, "data/sample_inputs/model.pt", content)
        assert load_model(other).module(images).shape == (5, 3, 32, 32)
    kept = io.BytesIO()
    torch.save(Bomb(tmp_path / "a"), kept)
    load_model(changed(saved, tmp_path, "data/sample_inputs/model.pt", kept.getvalue()))
    assert not (tmp_path / "a").exists()


def test_conditions_are_never_run(saved, images, tmp_path):
    place = tmp_path / "a"

    def change(graph):
        graph["guards_code"] = [f"__import__('os').mkdir({str(place)!r}) is None"]

    load_model(changed(saved, tmp_path, GRAPH, change)).module(images)
    assert not place.exists()


def _first_size(graph):
    values = graph["graph_module"]["graph"]["tensor_values"]
    return next(size["as_expr"] for value in values.values() for size in value["sizes"] if "as_expr" in size)


def _node(graph):
    return graph["graph_module"]["graph"]["nodes"][0]


def _pickled(config):
    next(iter(config["config"].values()))["use_pickle"] = True


def _constant(config):
    config["config"]["bomb"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}


def _tree(graph):
    said = graph["graph_module"]["module_call_graph"][0]["signature"]
    said["in_spec"] = said["in_spec"].replace("builtins.tuple", "os.mkdir")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (GRAPH, lambda graph: _first_size(graph).update(expr_str="__import__('os').mkdir('bomb')")),
        (GRAPH, lambda graph: _first_size(graph).update(expr_str="Symbol('s1', positive=True).__class__")),
        (GRAPH, lambda graph: _first_size(graph).update(expr_str="exit(1)")),
        (GRAPH, lambda graph: _first_size(graph).update(expr_str="9**9**9**9")),
        (GRAPH, lambda graph: _first_size(graph).update(expr_str="Pow(9, Pow(9, Pow(9, 9)))")),
        (GRAPH, lambda graph: _node(graph).update(target="torch.load")),
        (GRAPH, lambda graph: _node(graph).update(target="torch.ops.aten.from_file.default")),
        (GRAPH, lambda graph: _node(graph).update(target="torch.ops.aten.relu.__init__")),
        (GRAPH, lambda graph: _node(graph).update(target="_operator.attrgetter")),
        (GRAPH, lambda graph: _node(graph).update(target="torch.ops.higher_order.map_impl")),
        (GRAPH, lambda graph: _node(graph).update(name="x; import os")),
        (GRAPH, lambda graph: graph.update({"a b": 1})),
        (GRAPH, _tree),
        (WEIGHTS, _pickled),
        (CONSTANTS, _constant),
        ("data/constants/opaque_obj_0", pickle.dumps(3)),
        ("data/constants/custom_obj_0", b"x"),
        ("data/weights/model.pt", pickle.dumps({})),
        ("data/aotinductor/model/a.so", b"ELF"),
        ("models/other.json", b"{}"),
    ],
)
def test_what_would_be_run_is_refused(saved, tmp_path, name, change, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="would run and not only read"):
        load_model(changed(saved, tmp_path, name, change))
    assert not (tmp_path / "bomb").exists()


def test_a_file_cut_off_anywhere_is_refused(saved, tmp_path):
    whole = saved.read_bytes()
    for length in [0, 1, 30, *np.linspace(100, len(whole) - 1, 25).astype(int).tolist()]:
        (tmp_path / "short.pt2").write_bytes(whole[:length])
        with pytest.raises(InputError, match="not a model file that can be used"):
            load_model(tmp_path / "short.pt2")


def test_a_damaged_file_is_refused_or_makes_no_difference(saved, images, tmp_path):
    whole, refused, wanted = saved.read_bytes(), 0, load_model(saved).module(images)
    for place in np.random.default_rng(7).integers(0, len(whole), 60).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 16
        (tmp_path / "damaged.pt2").write_bytes(damaged)
        try:
            loaded = load_model(tmp_path / "damaged.pt2")
        except GcnLuigiError:
            refused += 1
        else:
            assert torch.equal(loaded.module(images), wanted)
    assert refused > 10


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04N.", json.dumps({"a": 1}).encode()])
def test_files_that_are_no_models_are_refused(tmp_path, content):
    (tmp_path / "a.pt2").write_bytes(content)
    with pytest.raises(InputError, match="not a model file"):
        load_model(tmp_path / "a.pt2")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not a model file"):
        load_model(tmp_path / "a.safetensors", "torch.nn:Conv2d")


def test_parts_of_a_compressed_archive_or_an_older_one_are_refused(saved, tmp_path):
    with pytest.raises(InputError, match="compressed"):
        load_model(packed(parts_of(saved), tmp_path / "a.pt2", zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match="would run"):
        load_model(packed({"serialized_exported_program.json": b"{}", "version": b"8.1"}, tmp_path / "b.pt2"))


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "last.ckpt"])
def test_pickles_are_refused_without_a_look(tmp_path, name):
    torch.save(Bomb(tmp_path / "bomb"), tmp_path / name)
    with pytest.raises(ConfigError, match="is a pickle") as refused:
        load_model(tmp_path / name)
    assert "save_model" in refused.value.fix
    assert not (tmp_path / "bomb").exists()


def test_other_names_and_missing_files_are_refused(dataset, model, tmp_path):
    with pytest.raises(InputError, match="not a file"):
        load_model(tmp_path / "missing.pt2")
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ConfigError, match="not a model file"):
        load_model(tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match=r"ends in \.pth"):
        save_model(model, tmp_path / "model.pth", dataset)
    (tmp_path / "file").touch()
    with pytest.raises(PublishError):
        save_model(model, tmp_path / "file" / "model.pt2", dataset)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"format": "other"}', '{"format": "gcn_luigi model 1", "bands": []}'],
)
def test_a_model_that_does_not_say_what_it_was_trained_on_is_refused(saved, tmp_path, text):
    with pytest.raises(InputError) as refused:
        load_model(changed(saved, tmp_path, CARD, text.encode()))
    assert "save_model" in refused.value.fix


@pytest.mark.parametrize(
    "change", [{"std": 0}, {"std": float("nan")}, {"mean": float("inf")}, {"mean": None}, {"name": 3, "extra": 1}]
)
def test_statistics_out_of_range_are_refused(saved, tmp_path, change):
    with pytest.raises(InputError):
        load_model(changed(saved, tmp_path, CARD, lambda said: said["bands"][0].update(change)))


@pytest.mark.parametrize("change", [{"size": float("inf")}, {"pixel_size": float("inf")}, {"bands": "twice"}])
def test_a_card_that_makes_no_sense_is_refused(saved, tmp_path, change):
    def wrong(said):
        said.update({"bands": [*said["bands"][:-1], said["bands"][0]]} if "bands" in change else change)

    with pytest.raises(InputError, match=r"cannot be read|make no sense"):
        load_model(changed(saved, tmp_path, CARD, wrong))


@pytest.mark.parametrize("name", [CARD, GRAPH, WEIGHTS, CONSTANTS])
def test_endless_brackets_are_refused(saved, tmp_path, name):
    with pytest.raises(InputError, match="cannot be read"):
        load_model(changed(saved, tmp_path, name, b"[" * 200_000))


def _on_no_device(config):
    next(iter(config["config"].values()))["tensor_meta"]["device"]["type"] = "meta"


@pytest.mark.parametrize(("name", "change"), [("data/weights/weight_0", b""), (WEIGHTS, _on_no_device)])
def test_weights_that_are_not_there_are_refused(saved, tmp_path, name, change):
    """Torch would take what the memory holds for them."""
    with pytest.raises(InputError, match="lacks the values of"):
        load_model(changed(saved, tmp_path, name, change))


def test_a_program_of_torch_without_a_card_is_refused(model, images, tmp_path):
    model.eval()
    torch.export.save(torch.export.export(model, (images,)), str(tmp_path / "plain.pt2"))
    with pytest.raises(InputError, match="does not say which bands"):
        load_model(tmp_path / "plain.pt2")


def test_a_model_that_torch_cannot_export_is_refused(dataset, tmp_path):
    class Branching(torch.nn.Module):
        def forward(self, images):
            return images[:, :3] if float(images.sum()) > 0 else images[:, :3] + 1

    with pytest.raises(ConfigError, match="cannot export"):
        save_model(Branching(), tmp_path / "model.pt2", dataset)
    assert list(tmp_path.iterdir()) == []


def test_weights_need_the_architecture_that_was_trained(dataset, model, architecture, tmp_path, saved):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    path = tmp_path / "model.safetensors"
    save_model(model, path, dataset)
    for name, what in (
        (None, "weights alone"),
        (f"{architecture}:wide", "its weights are not those"),
        (f"{architecture}:absent", "there is no absent"),
        (f"{architecture}:number", "there is no number"),
        (f"{architecture}:text", "makes a str"),
        (f"{tmp_path}/absent.py:network", "cannot be imported"),
        ("no_such_package.models:network", "cannot be imported"),
        ("torch.nn:Identity", "its weights are not those"),
        ("network", "not the name of an architecture"),
    ):
        with pytest.raises(ConfigError, match=what):
            load_model(path, name)
    with pytest.raises(ConfigError, match="whole model"):
        load_model(saved, f"{architecture}:network")


def test_an_architecture_is_called_with_bands_and_classes(architecture):
    made = make_model(f"{architecture}:network", 4, 7)
    assert (made[0].in_channels, made[3].out_channels) == (4, 7)


def test_weights_without_a_card_are_refused(model, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    safetensors.save_file(model.state_dict(), tmp_path / "plain.safetensors")
    with pytest.raises(InputError, match="does not say which bands"):
        load_model(tmp_path / "plain.safetensors", "torch.nn:Identity")


def test_shared_weights_are_saved(dataset, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    one = torch.nn.Conv2d(len(dataset.bands), len(dataset.bands), 1)
    save_model(torch.nn.Sequential(one, one), tmp_path / "model.safetensors", dataset)
    assert (tmp_path / "model.safetensors").is_file()
