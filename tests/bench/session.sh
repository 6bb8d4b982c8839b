#!/usr/bin/env bash
# Compares whole sessions of the static release with the SDK's worker: session.sh SESSION_BENCH WORKER [ROUNDS].
# Installs the SDK's worker (npm) when it isn't there.
set -eu
bench=$(realpath "${1:?usage: session.sh SESSION_BENCH WORKER [ROUNDS]}")
worker=$(realpath "${2:?usage: session.sh SESSION_BENCH WORKER [ROUNDS]}")
rounds=${3:-10}
peer=$(cd "$(dirname "$0")/../peer" && pwd)
"$peer/install"
node=$(realpath "$peer/node_modules/.bin/node")
"$bench" "$rounds" "sandbox-worker=$worker" "SDK=$node,$peer/run-worker.mjs"
mib() { du -cLm --apparent-size "$@" | tail -1 | cut -f1; }
echo "| size on disk, MiB | $(mib "$worker") | $(mib "$node" "$peer/node_modules/@anthropic-ai") | |"
