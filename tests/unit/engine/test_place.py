"""Where heavy tasks are to run: what options and settings mean, and which addresses are refused."""

import json
from pathlib import Path

import pytest

from gcn_luigi.engine.place import DaskPlace, LocalPlace, place_of, slurm_place
from gcn_luigi.errors import ClusterError, ConfigError


@pytest.mark.parametrize(("text", "count"), [("local", 3), ("local:1", 1), ("local:12", 12)])
def test_local_has_the_number_given_or_that_of_the_workers(text, count):
    place = place_of(text, is_trusted=False, workers=3)

    assert isinstance(place, LocalPlace)
    assert place.count == count


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://[::1]:8786", "tcp://localhost:1", "tls://far.org:8786"]
)
def test_an_address_that_only_this_user_reaches_is_taken(address):
    assert place_of(address, is_trusted=False) == DaskPlace(address, f"--dask {address}")


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.5:8786", "tcp://far.org:8786", "ws://far.org:1", "tcp://127.0.0.1.org:1"]
)
def test_an_open_address_beyond_this_machine_needs_trust(address):
    with pytest.raises(ClusterError, match="everyone who can reach it can run code as you") as caught:
        place_of(address, is_trusted=False)

    assert "--trust-network" in caught.value.fix
    assert place_of(address, is_trusted=True).address == address


@pytest.mark.parametrize(
    "text", ["nowhere.json", "local:0", "http://127.0.0.1:8786", "127.0.0.1:8786", "inproc://1/2/3"]
)
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ConfigError):
        place_of(text, is_trusted=True)


def test_a_scheduler_file_is_as_good_as_the_address_in_it(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"type": "Scheduler", "address": "tls://192.0.2.7:8786"}))

    assert place_of(str(file), is_trusted=False).address == "tls://192.0.2.7:8786"

    file.write_text(json.dumps({"address": "tcp://192.0.2.7:8786"}))
    with pytest.raises(ClusterError):
        place_of(str(file), is_trusted=False)


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json"])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    file = tmp_path / "scheduler.json"
    file.write_text(text)

    with pytest.raises(ConfigError, match="not a scheduler file"):
        place_of(str(file), is_trusted=True)


def test_a_scheduler_file_that_others_can_write_is_refused(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:8786"}))
    file.chmod(0o666)

    with pytest.raises(ConfigError, match="is writable by every user"):
        place_of(str(file), is_trusted=False)


def test_options_of_slurm_win_over_the_section():
    place = slurm_place("cores=4, walltime=02:00:00,jobs=8", {"cores": "2", "account": "ice"}, Path("/data"))

    assert (place.cores, place.walltime, place.jobs, place.account, place.partition) == (4, "02:00:00", 8, "ice", None)
    assert place.directory == Path("/data")


@pytest.mark.parametrize(
    ("options", "where", "what"),
    [
        ("cpus=4", "--slurm-options cpus", "'cpus' is unknown"),
        ("cores", "--slurm-options", "'cores' is no option"),
        ("cores=none", "--slurm-options cores", "'none' is not a number"),
        ("jobs=0", "--slurm-options jobs", "'0' is not a number"),
        ("partition=a b", "--slurm-options partition", "'a b' cannot be used in a job script"),
        ("account=$(id)", "--slurm-options account", "cannot be used in a job script"),
    ],
)
def test_an_option_that_slurm_would_misunderstand_is_refused(options, where, what):
    with pytest.raises(ConfigError) as caught:
        slurm_place(options, {}, Path("/data"))

    assert caught.value.where == where
    assert what in caught.value.what
