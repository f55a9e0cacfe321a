import os

import gcn_luigi._core.nodata as kernel


def test_the_checked_run_tests_the_checked_kernels():
    is_checked = "checked" in kernel.__file__

    assert is_checked == (os.environ.get("GCN_LUIGI_CHECKED") == "1")


def test_the_sanitized_run_tests_the_sanitized_kernels():
    is_sanitized = "sanitized" in kernel.__file__

    assert is_sanitized == bool(os.environ.get("GCN_LUIGI_SANITIZED"))
