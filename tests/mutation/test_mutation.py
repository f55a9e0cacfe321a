"""The tool behind `make mutants`: what it changes, which tests it chooses, and how it counts."""

from importlib.util import find_spec

import pytest

from tests.mutation import kernels, report
from tests.mutation.choosing import Recording, own_first
from tests.mutation.mutant import Mutant
from tests.mutation.report import Result

SOURCE = '''"""A module."""

LIMIT = 3


def near(value: int | None, limit: int = 1) -> bool:
    """Say whether it is near."""
    if (
        value is None
        or value > LIMIT
    ):
        return False
    return value < limit


def far(value):
    return value > 7
'''
KERNEL = """
def add(const uint8_t[:, ::1] plane not None, Py_ssize_t size, uint8_t* out):
    cdef Py_ssize_t x, width = plane.shape[1]
    # 1 + 1
    if size < width and not empty(-width):
        out[0] = <uint8_t>size
        add_all(&plane[0, 0], width * size)
"""
PATH = "gcn_luigi/prepare/module.py"


def _recording(lines):
    tests = [("tests/unit/a.py::slow", 5.0), ("tests/unit/a.py::fast", 0.1), ("tests/integration/b.py::build", 0.01)]
    return Recording(tests, {PATH: lines}, {"counts": {1}})


def _mutant(line, before):
    return Mutant(PATH, line, "Number", before, before.replace("3", "4"))


def test_a_mutant_gives_the_changed_text_back():
    changed = SOURCE.replace("value > LIMIT", "value >= LIMIT")
    mutant = Mutant.between(PATH, "Gt_GtE", SOURCE, changed)
    assert (mutant.line, mutant.before, mutant.after) == (10, "        or value > LIMIT", "        or value >= LIMIT")
    assert mutant.applied_to(SOURCE) == changed
    assert Mutant.from_dict(mutant.to_dict()) == mutant


def test_a_removed_line_and_a_change_over_several_lines_are_mutants_too():
    for changed in (
        SOURCE.replace("LIMIT = 3\n", ""),
        SOURCE.replace("if (\n        value is None", "if (\n\n        value"),
    ):
        assert Mutant.between(PATH, "any", SOURCE, changed).applied_to(SOURCE) == changed


def test_a_mutant_is_found_where_its_line_moved_and_not_where_it_changed():
    mutant = _mutant(3, "LIMIT = 3")
    assert mutant.applied_to("import os\n\n" + SOURCE) == "import os\n\n" + SOURCE.replace("LIMIT = 3", "LIMIT = 4")
    assert mutant.found_in(SOURCE.replace("LIMIT = 3", "LIMIT = 5")) is None
    with pytest.raises(LookupError, match="does not have these lines"):
        mutant.applied_to("")


def test_of_equal_lines_the_nearest_is_changed():
    source = "x = 3\n\n\nx = 3\n"
    assert Mutant(PATH, 3, "Number", "x = 3", "x = 4").applied_to(source) == "x = 3\n\n\nx = 4\n"


def test_a_kernel_is_changed_in_its_arithmetic_and_not_in_its_types():
    found = {(row, old) for row, _, old, _ in kernels.replacements(KERNEL)}
    assert found == {(3, "1"), (5, "<"), (5, "and"), (5, "not"), (6, "0"), (7, "0"), (7, "*")}


def test_the_same_seed_draws_the_same_mutants_of_a_kernel():
    drawn = kernels.drawn("_ext/add.pyx", KERNEL, 5, seed=1)
    assert drawn == kernels.drawn("_ext/add.pyx", KERNEL, 5, seed=1)
    assert len(set(drawn)) == 5
    assert all(mutant.applied_to(KERNEL) != KERNEL for mutant in drawn)
    assert kernels.drawn("_ext/add.pyx", KERNEL, 5, seed=2) != drawn


def test_the_tests_that_ran_the_statement_are_chosen_fastest_first():
    recording = _recording({8: {0, 1}, 9: {0, 1, 2}, 12: {0}, 17: {1}})
    assert recording.chosen(_mutant(10, "        or value > LIMIT"), SOURCE, 60) == [
        "tests/unit/a.py::fast",
        "tests/unit/a.py::slow",
    ]
    assert recording.chosen(_mutant(10, "        or value > LIMIT"), SOURCE, 1) == ["tests/unit/a.py::fast"]
    assert recording.chosen(_mutant(13, "    return value < limit"), SOURCE, 60) == []


def test_the_header_of_an_if_has_not_the_tests_of_its_body():
    assert _recording({8: {0}, 12: {1}}).chosen(_mutant(8, "    if ("), SOURCE, 60) == ["tests/unit/a.py::slow"]


def test_a_test_too_long_for_the_time_is_chosen_if_it_is_the_only_one():
    assert _recording({17: {0}}).chosen(_mutant(17, "    return value > 7"), SOURCE, 1) == ["tests/unit/a.py::slow"]


def test_a_constant_is_for_all_tests_of_the_module_and_a_default_for_those_of_the_function():
    recording = _recording({3: {-1}, 6: {-1}, 13: {0}, 17: {1}})
    reader = f"tests/contracts/test_sources.py::test_it[{PATH}]"
    recording.tests.extend([(reader, 0.2), ("tests/contracts/test_sources.py::test_it[gcn_luigi/other.py]", 0.2)])
    assert len(recording.chosen(_mutant(3, "LIMIT = 3"), SOURCE, 60)) == 3
    assert reader in recording.chosen(_mutant(3, "LIMIT = 3"), SOURCE, 60)
    header = "def near(value: int | None, limit: int = 1) -> bool:"
    assert recording.chosen(_mutant(6, header), SOURCE, 60) == [reader, "tests/unit/a.py::slow"]


def test_integration_tests_are_asked_if_no_other_test_reaches_the_line():
    assert _recording({17: {1, 2}}).chosen(_mutant(17, ""), SOURCE, 60) == ["tests/unit/a.py::fast"]
    assert _recording({17: {2}}).chosen(_mutant(17, ""), SOURCE, 60) == ["tests/integration/b.py::build"]


def test_a_kernel_is_for_the_tests_that_call_it():
    mutant = Mutant("_ext/counts.pyx", 1, "1 -> 2", "1", "2")
    assert _recording({}).chosen(mutant, "1\n", 60) == ["tests/unit/a.py::fast"]


def test_tests_of_the_modules_own_folder_run_before_all_others():
    own, far = "tests/unit/prepare/test_module.py::one", "tests/unit/read/test_reader.py::other"
    assert own_first(_mutant(3, ""), [far, own]) == [[own], [far]]
    assert own_first(_mutant(3, ""), [own]) == [[own]]
    kernel, prop = "tests/unit/test_kernels.py::one", "tests/property/test_kernels.py::other"
    assert own_first(Mutant("_ext/a.pyx", 1, "", "", ""), [far, prop, kernel]) == [[prop, kernel], [far]]
    assert own_first(_mutant(3, ""), []) == []


def test_a_report_counts_and_compares(tmp_path):
    mutants = [_mutant(line, "LIMIT = 3") for line in range(5)]
    names = ("killed", "timeout", "survived", "unreached", "gone")
    before = [Result(mutant, name, 2, "") for mutant, name in zip(mutants, names, strict=True)]
    assert report.score(before) == (2, 4)
    report.write(tmp_path / "report.json", before, {"seed": 1})
    assert report.read(tmp_path / "report.json") == before
    after = [Result(mutant, "survived") for mutant in mutants]
    assert report.lost(before, after) == after[:2]
    assert report.lost(before, before) == []
    assert "the tests notice 2 of 4 mutants, 50.0%" in report.summary(before)


# Cosmic Ray is an extra that `make test` does without.
if find_spec("cosmic_ray"):

    def test_the_same_seed_draws_the_same_mutants_of_a_module_and_no_annotation_changes():
        from tests.mutation import python_code  # noqa: PLC0415

        drawn = python_code.drawn(PATH, SOURCE, 100, seed=1)
        assert drawn == python_code.drawn(PATH, SOURCE, 100, seed=1)
        assert {mutant.line for mutant in drawn} <= {3, 6, 8, 9, 10, 12, 13, 17}
        assert all("int | None" in mutant.after for mutant in drawn if mutant.line == 6)
        for mutant in drawn:
            compile(mutant.applied_to(SOURCE), PATH, "exec")
