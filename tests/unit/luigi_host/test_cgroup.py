"""What control groups allow, from files as kernels write them."""

import resource

import psutil
import pytest

from gcn_luigi.luigi_host.cgroup import MB, allowed_bytes, oom_kills, own_limit, share_mb

# What version 1 says where there is no limit.
UNLIMITED = "9223372036854771712\n"


def _root(tmp_path, groups, **files):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_without_groups_the_machine_is_the_limit_less_a_reserve(tmp_path):
    total = psutil.virtual_memory().total
    reserve = min(max(total // 8, 256 * MB), 2000 * MB)

    assert allowed_bytes(_root(tmp_path, "")) == total - reserve


@pytest.mark.parametrize("mount", ["sys/fs/cgroup", "sys/fs/cgroup/unified"])
def test_the_limit_of_a_group_of_version_2_counts(tmp_path, mount):
    root = _root(tmp_path, "0::/job/step\n", **{f"{mount}/job/step/memory.max": "1000000000\n"})

    assert allowed_bytes(root) == 744 * MB


def test_the_limit_of_a_group_around_it_counts(tmp_path):
    mount = "sys/fs/cgroup"
    files = {f"{mount}/job/step/memory.max": "max\n", f"{mount}/job/memory.max": "1000000000\n"}

    assert allowed_bytes(_root(tmp_path, "0::/job/step\n", **files)) == 744 * MB


def test_the_limit_of_a_group_of_version_1_counts_and_other_controllers_do_not(tmp_path):
    mount = "sys/fs/cgroup/memory"
    files = {
        f"{mount}/job/step/memory.limit_in_bytes": UNLIMITED,
        f"{mount}/job/memory.limit_in_bytes": "1000000000\n",
        f"{mount}/other/memory.limit_in_bytes": "5000000\n",
    }

    assert allowed_bytes(_root(tmp_path, "7:pids:/other\n4:memory:/job/step\n0::/\n", **files)) == 744 * MB


def test_in_a_container_that_shows_the_hosts_names_the_mounted_root_counts(tmp_path):
    root = _root(tmp_path, "0::/../docker/1f3a\n", **{"sys/fs/cgroup/memory.max": "1000000000\n"})

    assert allowed_bytes(root) == 744 * MB


def test_workers_share_what_is_allowed(tmp_path):
    root = _root(tmp_path, "0::/job\n", **{"sys/fs/cgroup/job/memory.max": "8000000000\n"})

    # An eighth is kept back.
    assert [share_mb(workers, root) for workers in (1, 2, 7)] == [7000, 3500, 1000]


def test_a_group_that_allows_nothing_leaves_no_negative_share(tmp_path):
    root = _root(tmp_path, "0::/job\n", **{"sys/fs/cgroup/job/memory.max": "1000\n"})

    assert allowed_bytes(root) == 0
    assert share_mb(4, root) == 1


def test_kills_of_the_group_are_counted(tmp_path):
    text = "low 0\nmax 12\noom 3\noom_kill 2\n"
    root = _root(tmp_path, "0::/job\n", **{"sys/fs/cgroup/job/memory.events": text, "proc/vmstat": "oom_kill 9\n"})

    assert oom_kills(root) == 2


def test_kills_of_a_group_of_version_1_are_counted(tmp_path):
    text = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"

    assert oom_kills(_root(tmp_path, "4:memory:/job\n", **{"sys/fs/cgroup/memory/job/memory.oom_control": text})) == 4


def test_without_groups_the_machines_kills_are_counted(tmp_path):
    assert oom_kills(_root(tmp_path, "", **{"proc/vmstat": "pgfault 1\noom_kill 9\n"})) == 9
    (tmp_path / "proc/vmstat").unlink()
    assert oom_kills(tmp_path) == 0


def test_limits_of_the_shell_are_seen(monkeypatch):
    limits = {resource.RLIMIT_DATA: (resource.RLIM_INFINITY,) * 2, resource.RLIMIT_AS: (5 * MB, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert own_limit() == 5 * MB

    limits[resource.RLIMIT_AS] = limits[resource.RLIMIT_DATA]
    assert own_limit() is None
