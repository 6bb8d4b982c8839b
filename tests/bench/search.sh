#!/bin/sh
# Compares glob and grep with ripgrep and fd: search.sh BENCHES [ROUNDS], with the directory of the two
# programs. Needs Debian's linux-source-6.1,
# ripgrep, fd-find and git; what it unpacks goes to $SEARCH_BENCH_DIR (default: /tmp/sandbox-worker-search-bench).
set -eu

benches=$(realpath "${1:?usage: search.sh BENCHES [ROUNDS]}")
rounds=${2:-7}
here=$(dirname "$(realpath "$0")")
dir=${SEARCH_BENCH_DIR:-/tmp/sandbox-worker-search-bench}

for needed in rg fdfind; do
  command -v "$needed" >/dev/null || { echo "search.sh: $needed is missing (apt-get install ripgrep fd-find)" >&2; exit 1; }
done
"$here/linux-tree" "$dir"
HOME=/nonexistent
export HOME
"$benches/search_bench" "$dir/large" "$rounds"
echo
"$benches/search_bench" "$dir/small" $((rounds * 5))
echo
"$benches/search_tool_bench" "$dir/large" "$rounds"
