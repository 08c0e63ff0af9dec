#!/usr/bin/env bash
# `npm test`: set-up, lint, types, build and every test, on Node 24, from a bare clone. The last line says how many passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 scripts/setup.py
export PATH="$PWD/node_modules/.bin:$PATH"

# Beside each other; whatever one of them finds, the others say theirs too.
checks=()
for check in 'biome check --error-on-warnings .' 'tsc --noEmit' 'node scripts/build.mjs'; do
  $check &
  checks+=("$!")
done
bad=0
for check in "${checks[@]}"; do wait "$check" || bad=1; done
[ "$bad" = 0 ]

# Kept for `npm run cases`.
results=.cache/tests.json
mkdir -p .cache
rm -f "$results"
code=0
node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js --json --outputFile="$results" "$@" >/dev/null || code=$?
node scripts/count.mjs "$results" || code=1
exit "$code"
