"""The examples for clusters: manifests that Kubernetes would accept, and commands that `gcn` has."""

import importlib.metadata
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))


def _documents(path):
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def _pods(document):
    """Yield every description of a pod, however deep it stands."""
    if isinstance(document, dict):
        if "containers" in document:
            yield document
        for value in document.values():
            yield from _pods(value)
    elif isinstance(document, list):
        for value in document:
            yield from _pods(value)


def test_there_are_manifests():
    assert {path.stem for path in MANIFESTS} == {"storage", "prepare", "shards", "close", "dask"}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_would_accept_it(path):
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate has the schemas")

    for document in _documents(path):
        for pod in _pods(document):
            whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod}
            validate.validate(whole, "1.31", strict=True)
        if not document["apiVersion"].startswith("kubernetes.dask.org/"):
            validate.validate(document, "1.31", strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_every_volume_that_is_mounted_is_declared_and_the_image_is_of_this_version(path):
    for document in _documents(path):
        for pod in _pods(document):
            declared = {volume["name"] for volume in pod["volumes"]}
            for container in pod["containers"]:
                assert {mount["name"] for mount in container["volumeMounts"]} <= declared
                assert container["image"].endswith(f":{importlib.metadata.version('gcn-luigi')}")


def _commands():
    """Return what each container of the package's own command is told, for the eighth of its pods."""
    pods = [(path, pod) for path in MANIFESTS for document in _documents(path) for pod in _pods(document)]
    containers = [(path, one) for path, pod in pods for one in pod["containers"] if "command" not in one]
    return [
        pytest.param([word.replace("$(JOB_COMPLETION_INDEX)", "7") for word in container["args"]], id=path.stem)
        for path, container in containers
    ]


@pytest.mark.parametrize("words", _commands())
def test_the_command_has_these_options(gcn, words, tmp_path, monkeypatch):
    """A region that is not configured is the first thing that is missed, after all options were understood."""
    monkeypatch.chdir(tmp_path)

    code, _, err = gcn(*words)

    assert code == 1
    assert "config/southern.toml" in err
