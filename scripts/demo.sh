#!/usr/bin/env bash
# `npm run demo`: from a bare clone to a PostgreSQL that was lost and came back, in one command.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 scripts/setup.py
export PATH="$PWD/node_modules/.bin:$PATH"

node scripts/build.mjs
exec node --no-warnings scripts/demo.ts "$@"
