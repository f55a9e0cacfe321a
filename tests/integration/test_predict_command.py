"""`gcn predict`: from a model file to a map, with plain messages and exit codes."""

import builtins
import json
import shutil
import zipfile

import pytest
import rasterio

import gcn_luigi
from gcn_luigi.read.validate import unlisted, validate

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch import save_model  # noqa: E402


@pytest.fixture(scope="module")
def model(small_output, tmp_path_factory):
    made = gcn_luigi.open_dataset(small_output)
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("model") / "model.pt2"
    save_model(torch.nn.Conv2d(len(made.bands), len(made.classes), 1), path, made)
    return path


@pytest.fixture
def own(tiny_root, tmp_path):
    """Return a copy of the dataset, with its sources next to it."""
    return shutil.copytree(tiny_root, tmp_path / "tiny") / "out" / "tiny"


def test_a_map_of_a_year_appears_next_to_the_dataset(own, model, gcn):
    code, out, err = gcn("predict", own, "--model", model, "--year", 2004, "--device", "cpu")

    place = own.with_name("tiny-predictions")
    assert (code, err) == (0, "")
    assert out.startswith(f"map: {place / '2004_classes.tif'}: none ")
    assert "missing" in out
    assert sorted(path.name for path in place.iterdir()) == [
        "2004_classes.qml", "2004_classes.tif", "2004_probabilities.tif"
    ]  # fmt: skip
    assert list(validate(own)) == []
    assert not any("predictions" in line for line in unlisted(own))
    before = (place / "2004_classes.tif").read_bytes()
    assert gcn("predict", own, "--model", model, "--year", 2004, "--device", "cpu")[0] == 0
    assert (place / "2004_classes.tif").read_bytes() == before


def test_a_raster_is_predicted_into_a_directory(small_output, model, gcn, tmp_path):
    source = small_output / "stacks" / "2004.vrt"
    options = ("--overlap", 4, "--blending", "linear", "--batch", 3, "--missing", "all", "--device", "cpu")
    code, _, err = gcn("predict", small_output, "--model", model, "--source", source, "--to", tmp_path / "x", *options)

    assert (code, err) == (0, "")
    with rasterio.open(tmp_path / "x" / "2004_classes.tif") as file:
        assert file.tags()["windows"] == "32 px, overlap 4 px, linear"
        assert file.tags()["missing"] == "all bands"


def test_weights_are_predicted_with_their_architecture(small_output, gcn, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    made = gcn_luigi.open_dataset(small_output)
    (tmp_path / "net.py").write_text(
        "import torch\n\ndef net(bands, classes):\n    return torch.nn.Conv2d(bands, classes, 1)\n", encoding="utf-8"
    )
    weights = tmp_path / "model.safetensors"
    save_model(torch.nn.Conv2d(len(made.bands), 3, 1), weights, made)
    year = ("--year", 2004, "--to", tmp_path / "x", "--device", "cpu")

    assert gcn("predict", small_output, "--model", weights, *year, "--architecture", f"{tmp_path}/net.py:net")[0] == 0
    code, _, err = gcn("predict", small_output, "--model", weights, *year)
    assert code == 1
    assert "holds weights alone" in err


def test_a_model_of_other_data_is_used_with_a_note(small_output, model, gcn, tmp_path):
    other = tmp_path / "other.pt2"
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(other, "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("extra/gcn_luigi.json"):
                said = json.loads(content)
                said["data_digest"], said["bands"][0]["mean"] = "f" * 64, 1.5
                content = json.dumps(said).encode()
            target.writestr(entry.filename, content)

    code, _, err = gcn("predict", small_output, "--model", other, "--year", 2004, "--to", tmp_path, "--device", "cpu")

    assert code == 0
    assert err.startswith("note: the model was trained on other data (ffffffffffff)")
    assert "are those of the training" in err


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (("--year", 1066), 1, "there is no stack of 1066"),
        ((), 2, "say what to predict"),
        (("--year", 2004, "--source", "a.tif"), 2, "say what to predict"),
        (("--source", "absent.tif"), 1, "is not a file on this machine"),
        (("--year", 2004, "--device", "cuda:97"), 1, "cannot use the device"),
        (("--year", 2004, "--overlap", 32), 1, "an overlap of 32 px with windows of 32 px"),
        (("--year", 2004, "--size", 64), 1, "saved for 32 px"),
        (("--year", 2004, "--blending", "cosine"), 2, "cosine"),
    ],
)
def test_what_cannot_be_done_is_said(small_output, model, gcn, tmp_path, options, code, what):
    found, out, err = gcn("predict", small_output, "--model", model, "--to", tmp_path / "x", *options)

    assert (found, out) == (code, "")
    assert what in err
    assert "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_no_model_is_an_error(small_output, gcn, tmp_path):
    (tmp_path / "model.pth").write_bytes(b"\x80\x04N.")
    code, _, err = gcn("predict", small_output, "--model", tmp_path / "model.pth", "--year", 2004)
    assert code == 1
    assert "is a pickle" in err


def test_without_torch_the_command_says_how_to_install_it(small_output, model, gcn, monkeypatch):
    real = builtins.__import__

    def without_torch(name, *rest, **more):
        if name.startswith("gcn_luigi.read.torch"):
            raise ImportError("No module named 'torch'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    code, _, err = gcn("predict", small_output, "--model", model, "--year", 2004)
    assert code == 1
    assert "needs torch, which is not installed" in err
    assert "gcn-luigi[torch]" in err
