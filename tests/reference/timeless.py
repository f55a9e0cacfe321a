"""What is the same at every build: all bytes, but for how long tasks took."""

import json
import re

# What tests write in place of a page, where its drawing is not what they are about.
NO_PAGE = "left out <!-- times --><!-- /times -->"
_TIMES = re.compile(rb"<!-- times -->.*?<!-- /times -->", re.DOTALL)


def write_no_page(_settings, _layout, out, *_origin):
    """Stand in for `gcn_luigi.report.quality.page.write_report`: a small dataset takes less time than its page."""
    out.write_text(NO_PAGE, encoding="utf-8")


def tells_a_time(path):
    """Return whether a file holds nothing but how long a task took."""
    return path.suffix == ".seconds" and path.parent.name == "times"


def timeless(path):
    """Return the bytes of a file of a dataset, without what tells a time."""
    content = path.read_bytes()
    if path.name == "report.html":
        parts = _TIMES.split(content)
        assert len(parts) == 2
        return b"".join(parts)
    if path.name == "report.html.json":
        record = json.loads(content)
        return json.dumps({key: record[key] for key in ("fingerprint", "parts")}, sort_keys=True).encode()
    return content
