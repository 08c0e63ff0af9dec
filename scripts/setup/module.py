"""A program that is a package of its own module, built from the module at a pinned version: no registry carries it built."""

import json

from .cached import fresh, is_current
from .go import environment, toolchain
from .shell import cache_dir, fail, run, say


def source(module, version, checksum, go, env, scratch):
    """Downloads a module and returns its folder, once Go's hash of its files is the pinned one."""
    said = run(f"downloading {module}", go, "mod", "download", "-json", f"{module}@{version}", env=env, cwd=scratch)
    found = json.loads(said[said.index("{") :])
    if found["Sum"] != checksum:
        fail(f"{module} {version} has the hash {found['Sum']}, not the pinned {checksum}: nothing was built")
    return found["Dir"]


def build(name, module, version, checksum, package, least_go, said_by=""):
    """Builds `package` into `name/name` of the cache in one to three minutes, unless it is there, and tries it.

    `checksum` covers the module's go.sum, which fixes every module that is built in: GOSUMDB is off because it says no more than that.
    `said_by` is the variable that holds the program's own version.
    """
    stamp = f"{version} {checksum}"
    if is_current(name, stamp):
        return
    go = toolchain(least_go)
    say(f"building {name} {version} into {cache_dir() / name} (one to three minutes)")
    with fresh(name, stamp) as (home, scratch):
        env = environment(scratch)
        linked = "-s -w" + (f" -X {said_by}={version}" if said_by else "")
        made = ("-trimpath", "-ldflags", linked, "-o", str(home / name))
        run(f"building {name}", go, "build", *made, package, env=env, cwd=source(module, version, checksum, go, env, scratch))
    run(f"trying {name}", str(cache_dir() / name / name), "--version")
