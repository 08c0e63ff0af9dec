"""A tool's folder in the cache: there and stamped for just this version, or made anew beside it and moved in whole."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .shell import cache_dir


def is_current(name, stamp):
    """Whether the folder `name` of the cache was made, to the end, for this stamp."""
    file = cache_dir() / name / "stamp"
    return file.exists() and file.read_text() == stamp


def readable(into):
    """Lets everybody enter, read and run what archives leave with modes of their own."""
    for path in [into, *into.rglob("*")]:
        runs = path.is_dir() or path.stat().st_mode & 0o100 or path.parent.name == "bin" or ".so" in path.name
        path.chmod(0o755 if runs else 0o644)


@contextmanager
def fresh(name, stamp):
    """Yields an empty folder, and a scratch folder that goes away; the first becomes `name` when the block ends without an error."""
    home = cache_dir() / name
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        yield made, Path(scratch)
        (made / "stamp").write_text(stamp)
        readable(made)
        shutil.rmtree(home, ignore_errors=True)
        made.rename(home)
