"""versitygw, an S3 server for the tests, built from its pinned module: no registry carries it built."""

import json

from .cached import fresh, is_current
from .go import environment, toolchain
from .shell import cache_dir, fail, run, say

MODULE = "github.com/versity/versitygw"
VERSION = "v1.8.0"
# Go's hash of the module's files, go.sum among them: it fixes every module that is built in.
SUM = "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc="
LEAST_GO = (1, 25)


def source(go, env, scratch):
    """Downloads the module and returns its folder, once its hash is the pinned one."""
    said = run(f"downloading {MODULE}", go, "mod", "download", "-json", f"{MODULE}@{VERSION}", env=env, cwd=scratch)
    module = json.loads(said[said.index("{") :])
    if module["Sum"] != SUM:
        fail(f"{MODULE} {VERSION} has the hash {module['Sum']}, not the pinned {SUM}: nothing was built")
    return module["Dir"]


def build():
    """Builds it in one to three minutes; GOSUMDB is off because SUM and the module's go.sum say more than it does."""
    stamp = f"{VERSION} {SUM}"
    if is_current("versitygw", stamp):
        return
    go = toolchain(LEAST_GO)
    say(f"building versitygw {VERSION} into {cache_dir() / 'versitygw'} (one to three minutes)")
    with fresh("versitygw", stamp) as (home, scratch):
        env = environment(scratch)
        made = ("-trimpath", "-ldflags", f"-s -w -X main.Version={VERSION}", "-o", str(home / "versitygw"))
        run("building versitygw", go, "build", *made, "./cmd/versitygw", env=env, cwd=source(go, env, scratch))
    run("trying versitygw", str(cache_dir() / "versitygw/versitygw"), "--version")
