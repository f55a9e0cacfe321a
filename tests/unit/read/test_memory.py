"""How much memory is free, and how far a read is."""

import io
import sys

import pytest

from gcn_luigi.read.store.memory import free_bytes, with_progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_one_line_that_disappears(monkeypatch):
    monkeypatch.setattr("sys.stderr", _Terminal())

    assert list(with_progress("abcd", 4)) == list("abcd")
    said = [f"reading: {percent} %" for percent in (25, 50, 75, 100)]
    assert sys.stderr.getvalue().split("\r")[1:] == [*said, "\x1b[K"]


def test_a_log_gets_a_line_for_each_tenth(capsys):
    assert sum(with_progress([1] * 250, 250)) == 250
    assert capsys.readouterr().err.splitlines() == [f"reading: {percent} %" for percent in range(0, 101, 10)]


def test_free_memory_is_what_the_system_estimates(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  4000 kB\nMemFree:  10 kB\nMemAvailable:  300 kB\n")

    assert free_bytes(tmp_path / "meminfo") == 300 * 1024


def test_where_the_system_gives_no_estimate_it_is_all_memory(tmp_path):
    psutil = pytest.importorskip("psutil")

    assert free_bytes(tmp_path / "none") == psutil.virtual_memory().total
