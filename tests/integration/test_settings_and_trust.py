"""Misspelt settings and untrusted schedulers, under both commands: told, not with code 0, and nothing built."""

import html

import luigi
import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.tasks import AllRegions, Dataset, TileInventory, TileQuality
from tests.integration.commands import LUIGI_CFG, Ended, ask, free_port, gcn_command, luigi_command, luigid

LOCAL = "--local-scheduler"
# Nothing listens there; a name that is looked up or a connection that is tried would take its time.
ELSEWHERE = "192.0.2.1"


@pytest.fixture
def settings(tmp_path):
    """Return what writes a luigi.cfg: the shipped one, with more."""

    def write(more, *, name="luigi.cfg"):
        path = tmp_path / name
        path.write_text(LUIGI_CFG.read_text() + more)
        return str(path)

    return write


def _refused(ended, output, *named):
    assert ended.code not in {0, None}, ended.text
    for text in named:
        assert text in ended.text
    assert not output.exists() or list(output.iterdir()) == []


# Which settings are refused is tried without a command; here, that either command asks, in its own way.
@pytest.mark.parametrize(
    ("command", "more", "named"),
    [
        ("luigi", "[workre]\nkeep_alive = true\n", "[workre] is unknown (did you mean [worker]?)"),
        pytest.param(
            "luigi",
            "[gcn]\noutput_rot = x\n",
            "[gcn] output_rot is unknown (did you mean output_root?)",
            marks=pytest.mark.long,
        ),
        ("gcn", "[gcn]\nthreads = 2 ; as many as cores\n", "a comment on the same line becomes part of the value"),
    ],
)
def test_a_misspelt_setting_of_luigi_stops_either_command_before_anything_is_built(
    commands, tiny, tmp_path, settings, command, more, named
):
    output = tmp_path / "out"
    made = luigi_command("gcn.Dataset", tiny, output) if command == "luigi" else gcn_command(tiny, output)

    ended = commands.run(*made, LOCAL, LUIGI_CONFIG_PATH=settings(more))

    _refused(ended, output, named, "  where: ", "  fix: ")
    assert command == "luigi" or "Traceback" not in ended.text


@pytest.mark.parametrize("variable", [{"LUIGI_CONFIG_PATH": "no/such.cfg"}, {"LUIGI_CONFIG_PARSER": "cgf"}])
def test_settings_that_luigi_would_do_without_stop_the_plain_command_though_no_retcode_is_set(
    commands, tiny, tmp_path, variable
):
    ended = commands.run(*luigi_command("gcn.Dataset", tiny, tmp_path / "out"), LOCAL, **variable)

    _refused(ended, tmp_path / "out", next(iter(variable)))


@pytest.mark.parametrize(
    ("command", "text", "named"),
    [
        ("run", "[worker]\nkeep_alive = true\nkeep_alive = false\n", "[line 3]"),
        pytest.param("run", "[core]\nautoload_range = perhaps\n", "neither true nor false", marks=pytest.mark.long),
        pytest.param("plan", "[workre]\n", "[worker]", marks=pytest.mark.long),
        ("plan", None, "not a file"),
    ],
)
def test_a_bad_file_is_told_in_three_lines(commands, tiny, tmp_path, command, text, named):
    path = tmp_path / "own.cfg"
    if text is not None:
        path.write_text(text)

    extra = (LOCAL,) if command == "run" else ()
    ended = commands.run("gcn", command, *gcn_command(tiny, tmp_path / "out")[2:], *extra, LUIGI_CONFIG_PATH=str(path))

    assert ended.code == 1
    assert len(ended.err.splitlines()) == 3, ended.err
    assert named in ended.err
    assert not (tmp_path / "out").exists()


def test_the_demo_makes_nothing_before_the_settings_are_found_good(commands, tmp_path, settings):
    ended = commands.run("gcn", "demo", LOCAL, "--output", tmp_path / "out", LUIGI_CONFIG_PATH=settings("[workre]\n"))

    _refused(ended, tmp_path / "out", "[workre] is unknown (did you mean [worker]?)")


@pytest.mark.long
def test_workers_of_a_local_scheduler_do_not_mind_another_one_in_the_settings(commands, tiny, tmp_path, settings):
    path = settings("")
    text = LUIGI_CFG.read_text().replace("[core]\n", f"[core]\ndefault_scheduler_host = {ELSEWHERE}\n")
    (tmp_path / "luigi.cfg").write_text(text)

    ended = commands.run(*luigi_command("gcn.PartitionGrid", tiny, tmp_path / "out"), LOCAL, LUIGI_CONFIG_PATH=path)

    assert ended.code == 0, ended.text
    assert (tmp_path / "out/tiny/grid.gpkg").is_file()


def test_a_toml_parser_is_refused(commands, tiny, tmp_path):
    ended = commands.run(*gcn_command(tiny, tmp_path / "out"), LOCAL, LUIGI_CONFIG_PARSER="toml")

    _refused(ended, tmp_path / "out", "LUIGI_CONFIG_PARSER")
    assert "Traceback" not in ended.text


def test_a_file_that_luigi_itself_cannot_read_ends_the_plain_command_with_its_name_and_line(commands, tiny, tmp_path):
    path = tmp_path / "own.cfg"
    path.write_text("[worker]\nkeep_alive = true\nkeep_alive = false\n")

    ended = commands.run(*luigi_command("gcn.Dataset", tiny, tmp_path / "out"), LOCAL, LUIGI_CONFIG_PATH=str(path))

    _refused(ended, tmp_path / "out", str(path), "[line  3]")


@pytest.mark.parametrize(
    ("family", "option", "named"),
    [
        ("gcn.Dataset", "--regoin", "unrecognized arguments: --regoin"),
        ("gcn.Dataset", "--gcn.ChipShard-thraeds", "unrecognized arguments: --gcn.ChipShard-thraeds"),
        ("gcn.Datasett", "--workers", "gcn.Dataset"),
    ],
)
def test_a_misspelt_parameter_or_task_ends_the_plain_command(commands, tiny, tmp_path, family, option, named):
    ended = commands.luigi(family, tiny, tmp_path / "out", option, "2", LOCAL)

    _refused(ended, tmp_path / "out", named)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--scheduler-host", ELSEWHERE), ELSEWHERE),
        (("--scheduler-url", f"http://{ELSEWHERE}:8082"), ELSEWHERE),
        (("--assistant", "--scheduler-host", "127.0.0.1"), "--assistant"),
        (("--assistant", LOCAL), "--assistant"),
    ],
)
def test_the_plain_command_refuses_another_machine_and_work_for_others(commands, tiny, tmp_path, option, named):
    ended = commands.luigi("gcn.Dataset", tiny, tmp_path / "out", *option)

    _refused(ended, tmp_path / "out", "SchedulerError", f"where: {'http://' if named == ELSEWHERE else ''}{named}")
    assert "Failed connecting" not in ended.text


@pytest.mark.parametrize(
    ("option", "root"),
    [
        ("default_scheduler_host", "gcn.Dataset"),
        pytest.param("default-scheduler-host", "gcn.AllRegions", marks=pytest.mark.long),
        pytest.param("scheduler_host", "gcn.Dataset", marks=pytest.mark.long),
    ],
)
def test_the_plain_command_refuses_another_machine_that_the_settings_name(
    commands, tiny, tmp_path, settings, option, root
):
    path = settings("").replace("luigi.cfg", "own.cfg")
    text = LUIGI_CFG.read_text().replace("[core]\n", f"[core]\n{option} = {ELSEWHERE}\n")
    (tmp_path / "own.cfg").write_text(text)
    made = luigi_command(root, tiny, tmp_path / "out")
    made = made if root == "gcn.Dataset" else (*made[:4], "--regions", '["tiny"]', *made[6:10])

    ended = commands.run(*made, LUIGI_CONFIG_PATH=path)

    _refused(ended, tmp_path / "out", "SchedulerError", ELSEWHERE)
    assert "Failed connecting" not in ended.text


def test_another_machine_is_asked_where_the_settings_trust_it(commands, tiny, tmp_path, settings):
    text = "[gcn]\ntrust_network = true\n"
    path = settings(text)
    quick = LUIGI_CFG.read_text().replace("[core]\n", "[core]\nrpc_retry_attempts = 1\nrpc_connect_timeout = 0.5\n")
    (tmp_path / "luigi.cfg").write_text(quick + text)

    ended = commands.run(
        *luigi_command("gcn.TileInventory", tiny, tmp_path / "out"), "--scheduler-host", ELSEWHERE,
        LUIGI_CONFIG_PATH=path,
    )  # fmt: skip

    assert ended.code not in {0, None}
    assert "SchedulerError" not in ended.text
    assert "Failed connecting" in ended.text or "RPCError" in ended.text


@pytest.mark.luigid
@pytest.mark.long
def test_gcn_run_uses_the_scheduler_it_is_given(commands, tiny, tmp_path):
    with luigid(commands) as port:
        ended = commands.gcn_run(tiny, tmp_path / "out", "--scheduler-url", f"http://127.0.0.1:{port}/")
        families = {node["name"] for node in ask(port, "graph").values()}

    assert ended.code == 0, ended.text
    assert "gcn.Dataset" in families
    assert not (tmp_path / "out/.scheduler").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--scheduler-url", f"http://{ELSEWHERE}:8082"), "can run code as you"),
        (("--scheduler-url", "scheduler:8082"), "not an address"),
        (("--scheduler-url", f"http://127.0.0.1:{free_port()}"), "no Luigi scheduler answers"),
        (("--scheduler-url", f"http://127.0.0.1:{free_port()}", "--trust-network"), "no Luigi scheduler answers"),
        (("--scheduler-url", "http://127.0.0.1", LOCAL), "exclude each other"),
    ],
    ids=["elsewhere", "not an address", "silent", "trusted and silent", "two"],
)
def test_gcn_run_refuses_a_scheduler_that_is_not_trusted_or_not_there(gcn, tiny, tmp_path, options, named):
    ended = Ended(*gcn(*gcn_command(tiny, tmp_path / "out")[1:], *options))

    _refused(ended, tmp_path / "out", named)
    assert "Traceback" not in ended.text


def test_the_help_says_what_trust_exposes_and_how_to_tunnel(gcn):
    _, out, _ = gcn("run", "--help")
    text = " ".join(out.split())

    assert "everyone who can reach its port can run code as you" in text
    assert "ssh -N -L 8082:127.0.0.1:8082 HOST" in text


HOSTILE = "<img src=x onerror=alert(1)> & \"more\" 'quotes'"


class LoudInventory(TileInventory):
    task_namespace = "gcn"

    def make(self):
        self.say(HOSTILE, 0.5)
        super().make()


@pytest.mark.luigid
def test_a_message_reaches_the_page_escaped(commands, tiny, tmp_path):
    root = LoudInventory(
        region=tiny.region, output_root=str(tmp_path), config_dir=str(tiny.config), data_root=str(tiny.sources)
    )
    with luigid(commands) as port:
        assert luigi.build([root], scheduler_url=f"http://127.0.0.1:{port}", log_level="ERROR")
        message = ask(port, "get_task_status_message", task_id=root.task_id)["statusMessage"]

    assert message == html.escape(HOSTILE)
    assert "<" not in message


@pytest.mark.parametrize(
    ("family", "changed"),
    [
        (TileQuality, {"band": "<img src=x onerror=alert(1)>"}),
        (TileQuality, {"band": "../../elsewhere"}),
        (Dataset, {"region": "<b>"}),
        (Dataset, {"region": "../tiny"}),
        (Dataset, {"output_root": "out<script>"}),
        (Dataset, {"data_root": "in\nput"}),
        (Dataset, {"config_dir": "\x1b[2J"}),
        (AllRegions, {"regions": ("tiny", "<i>")}),
        (AllRegions, {"regions": ("../tiny",)}),
    ],
)
def test_a_parameter_that_is_no_name_is_refused_before_a_scheduler_hears_of_it(family, changed):
    needed = {"region": "tiny"} if family is not AllRegions else {}
    if family is TileQuality:
        needed["band"] = "dem"
    family(**needed)

    with pytest.raises(ConfigError) as failure:
        family(**{**needed, **changed})

    assert failure.value.where == f"--{next(iter(changed)).replace('_', '-')}"
    assert failure.value.fix
