"""The npm packages of package-lock.json, Node 24 among them."""

import os

from .shell import ROOT, fail, run, say


def current():
    installed = ROOT / "node_modules/.package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= (ROOT / "package-lock.json").stat().st_mtime


def packages():
    if not current():
        say("npm ci")
        run("installing npm packages", "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=ROOT)
        os.utime(ROOT / "node_modules/.package-lock.json")
    node = ROOT / "node_modules/.bin/node"
    version = run("trying Node 24", str(node), "--version").strip() if node.exists() else "none"
    if not version.startswith("v24."):
        fail(
            f"node_modules/.bin/node is {version}, not Node 24: npm kept the package `node` from running its install script; "
            "see `allowScripts` in package.json and run `npm rebuild node`"
        )
