"""placeholder being written"""
from pathlib import Path
def write_report(settings, layout, out: Path) -> None:
    out.write_text("<html></html>")
