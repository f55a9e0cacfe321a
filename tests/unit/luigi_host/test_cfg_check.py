"""luigi.cfg: what Luigi would pass over in silence is named."""

import difflib
import subprocess
import sys
from pathlib import Path

import pytest
from luigi.configuration import LuigiConfigParser

from gcn_luigi import tasks
from gcn_luigi.errors import ConfigError
from gcn_luigi.luigi_host.cfg_check import check_files, find_problems, known_sections
from gcn_luigi.luigi_host.cfg_files import check_readable, find_files

ROOT = Path(__file__).resolve().parents[3]
assert tasks.__all__  # known_sections asks what is loaded


def problems(tmp_path, *texts):
    cfg = LuigiConfigParser()
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.cfg"
        path.write_text(text, encoding="utf-8")
        check_readable([path])
        cfg.read(path)
    return list(find_problems(cfg, known_sections()))


@pytest.mark.parametrize("path", ["luigi.cfg", "gcn_luigi/luigi.cfg"])
def test_the_shipped_settings_are_sound(path):
    check_files([ROOT / path])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[workre]\nkeep_alive = true\n", "[workre] is unknown (did you mean [worker]?)"),
        ("[Worker]\nkeep_alive = true\n", "[Worker] is unknown (did you mean [worker]?)"),
        ("[retcodes]\n", "[retcodes] is unknown (did you mean [retcode]?)"),
        ("[gcn.ChipShrad]\nthreads = 2\n", "[gcn.ChipShrad] is unknown (did you mean [gcn.ChipShard]?)"),
        ("[xyzzy]\na = 1\n", "[xyzzy] is unknown"),
        ("[worker]\nkeep_alvie = true\n", "[worker] keep_alvie is unknown (did you mean keep_alive?)"),
        ("[scheduler]\nretry-dealy = 3\n", "[scheduler] retry-dealy is unknown (did you mean retry_delay?)"),
        ("[core]\nlog_levle = INFO\n", "[core] log_levle is unknown (did you mean log_level?)"),
        ("[retcode]\ntask_fialed = 30\n", "[retcode] task_fialed is unknown (did you mean task_failed?)"),
        ("[gcn]\noutput_rot = x\n", "[gcn] output_rot is unknown (did you mean output_root?)"),
        ("[gcn]\ntrust_netwrok = true\n", "[gcn] trust_netwrok is unknown (did you mean trust_network?)"),
        ("[gcn.ChipShard]\nthraeds = 2\n", "[gcn.ChipShard] thraeds is unknown (did you mean threads?)"),
        ("[email]\nreceivre = a@b\n", "[email] receivre is unknown (did you mean receiver?)"),
        ("[execution_summary]\nsumary_length = 3\n", "[execution_summary] sumary_length is unknown"),
        ("[scheduler]\nretry_delay = soon\n", "[scheduler] retry_delay = soon is not of type float"),
        ("[worker]\nkeep_alive = perhaps\n", "[worker] keep_alive = perhaps is not of type bool"),
        ("[retcode]\ntask_failed = 3x\n", "[retcode] task_failed = 3x is not of type int"),
        ("[core]\nlog_level = LOUD\n", "[core] log_level = LOUD is not one of "),
        ("[core]\nrpc-retry-attempts = few\n", "[core] rpc-retry-attempts = few is not of type int"),
        ("[gcn]\ntrust_network = perhaps\n", "[gcn] trust_network = perhaps is not of type bool"),
        ("[gcn]\nthreads = two\n", "[gcn] threads = two is not of type int"),
        ("[gcn]\noutput_root = out ; here\n", "[gcn] output_root = out ; here: a comment on the same line"),
        ("[scheduler]\nretry_delay = 60 # s\n", "[scheduler] retry_delay = 60 # s: a comment on the same line"),
        ("[resources]\ni0 = 16\n", "[resources] sets i0 but not io"),
        ("[resources]\nIO = 16\n", "[resources] sets IO but not io"),
        ("[resources]\nio = 2\n<b>gpu</b> = 2\n", "<b>gpu</b> cannot be the name of a resource"),
        ("[resources]\nio = many\n", "[resources] io = many is not of type int"),
        ("[gcn]\noutput_root = ${NO_SUCH_VARIABLE_HERE}\n", "NO_SUCH_VARIABLE_HERE"),
        ("[gcn]\noutput_root = %(nothing)s\n", "nothing"),
        ("[worker]\nmax_keep_alive_idle_duration = 99999999999 weeks\n", "is not of type timedelta"),
        ("[gcn]\nother_sections = etl\n", "[gcn] other_sections = etl is not of type list"),
    ],
)  # fmt: skip
def test_what_would_not_be_heard_is_named_with_the_nearest_right_name(tmp_path, text, named):
    (found,) = problems(tmp_path, text)

    assert named in found


@pytest.mark.parametrize(
    "text",
    [
        "[worker]\nkeep-alive = true\ntimeout = 3\n",
        "[core]\nrpc_retry_wait = 3\ndefault-scheduler-host = localhost\nparallel_scheduling = false\n",
        "[resources]\nio = 16\ngpu = 2\n",
        "[gcn]\noutput_root = /scratch/#1\nthreads = 2\n",
        "[smtp]\npassword = a #b ;c\n",
        "[spark]\nanything = goes\n",
        '[gcn]\nother_sections = ["etl"]\n[etl]\nwhatever = 1 ; note\n',
        "[DEFAULT]\nscratch = /scratch\n[gcn]\noutput_root = %(scratch)s/out\n",
        "[gcn]\noutput_root = ${HOME}/out\n",
        "[gcn.ChipShard]\nthreads = 2\n[gcn.Dataset]\noutput_root = out\n",
        "[worker]\n",
    ],
)
def test_what_luigi_hears_is_accepted(tmp_path, text):
    assert problems(tmp_path, text) == []


def test_the_commands_of_gcn_know_the_sections_of_all_tasks_before_they_check(tmp_path):
    (tmp_path / "luigi.cfg").write_text("[gcn]\nthreads = 2\n[gcn.ChipShard]\nthreads = 3\n")
    code = "from gcn_luigi.cli.options import configure_luigi; configure_luigi()"

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_every_problem_of_all_files_is_named_and_the_last_value_counts(tmp_path):
    first = "[workre]\na = 1\n[retcode]\ntask_failed = x\n[resources]\ni0 = 3\n"

    found = problems(tmp_path, first, "[retcode]\ntask_failed = 30\nnot_rum = 1\n[resources]\nio = 2\n")

    assert [line.split("]")[0] + "]" for line in found] == ["[workre]", "[retcode]"]


def test_every_option_of_every_section_is_told_from_a_misspelt_one():
    known = known_sections()
    tried = 0
    for section, options in known.items():
        for option in options:
            wrong = option[:-1] + ("q" if option[-1] != "q" else "z")
            if section != "resources" and wrong not in options:
                cfg = LuigiConfigParser()
                cfg.read_dict({section: {wrong: "1"}})
                (found,) = find_problems(cfg, known)
                nearest = difflib.get_close_matches(wrong, options, n=1)
                assert f"[{section}] {wrong} is unknown" in found
                assert not nearest or f"did you mean {nearest[0]}?" in found
                tried += 1
    assert tried > 150


@pytest.mark.parametrize("mode", [0o777, 0o722])
def test_a_state_that_others_can_write_is_refused(tmp_path, mode):
    place = tmp_path / "state"
    place.mkdir()
    text = f"[scheduler]\nstate_path = {place}/luigi.pickle\n"
    assert problems(tmp_path, text) == []
    place.chmod(mode)

    (found,) = problems(tmp_path, text)

    assert f"{place} is writable by every user" in found
    place.chmod(0o700)
    (place / "luigi.pickle").touch()
    (place / "luigi.pickle").chmod(0o666)
    (found,) = problems(tmp_path, text)
    assert f"{place}/luigi.pickle is writable by every user" in found


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[worker]\nkeep_alive = true\nkeep_alive = false\n", "[line 3]"),
        ("[worker]\n[core]\n[worker]\n", "[line 3]"),
        ("[worker]\nkeep_alive\n", "[line 2]"),
        ("keep_alive = true\n", "line: 1"),
        ("[core]\nautoload_range = perhaps\n", "autoload_range"),
    ],
)
def test_a_file_that_luigi_cannot_read_is_named_with_its_line(tmp_path, text, named):
    path = tmp_path / "luigi.cfg"
    path.write_text(text)

    with pytest.raises(ConfigError) as failure:
        check_readable([path])

    assert named in failure.value.what
    assert failure.value.where == str(path)
    assert failure.value.fix


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "luigi.cfg"
    path.write_bytes(b"[core]\nlog_level = \xff\xfe\n")

    with pytest.raises(ConfigError, match="cannot be read"):
        check_readable([path])


def test_files_are_found_in_the_order_in_which_luigi_reads_them(tmp_path):
    for name in ("luigi.cfg", "client.cfg", "own.cfg"):
        (tmp_path / name).touch()

    files = find_files({"LUIGI_CONFIG_PATH": "own.cfg"}, tmp_path)

    assert [path.name for path in files if path.is_relative_to(tmp_path)] == ["client.cfg", "luigi.cfg", "own.cfg"]


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"LUIGI_CONFIG_PATH": "luigi.cgf"}, "luigi.cgf"),
        ({"LUIGI_CONFIG_PATH": ""}, "''"),
        ({"LUIGI_CONFIG_PATH": "."}, "'.'"),
        ({"LUIGI_CONFIG_PATH": "luigi.toml"}, "TOML"),
        ({"LUIGI_CONFIG_PARSER": "toml"}, "'toml'"),
        ({"LUIGI_CONFIG_PARSER": "cgf"}, "'cgf'"),
    ],
)
def test_settings_that_luigi_would_run_without_are_refused(tmp_path, environ, named):
    (tmp_path / "luigi.toml").touch()

    with pytest.raises(ConfigError) as failure:
        find_files(environ, tmp_path)

    assert named in failure.value.what
    assert failure.value.fix


def test_settings_that_name_the_worker_by_its_former_place_work_and_are_told(tmp_path):
    former = "gcn_luigi.tasks.process.ChildContext"
    shipped = (ROOT / "luigi.cfg").read_text(encoding="utf-8")
    (tmp_path / "luigi.cfg").write_text(shipped.replace("gcn_luigi.luigi_host.worker.ChildContext", former))
    program = (
        "from gcn_luigi.luigi_host.cfg_check import check_settings\n"
        "import gcn_luigi.tasks\n"
        "check_settings()\n"
        "from gcn_luigi.tasks.process import ChildContext\n"
        "print(ChildContext.__module__)\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert ended.stdout == "gcn_luigi.luigi_host.worker\n"
    assert f"[worker] task_process_context = {former} is now gcn_luigi.luigi_host.worker.ChildContext" in ended.stderr
