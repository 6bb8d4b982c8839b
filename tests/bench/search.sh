#!/bin/sh
# Compares glob and grep with ripgrep and fd: search.sh SEARCH_BENCH [ROUNDS]. Needs Debian's linux-source-6.1,
# ripgrep, fd-find and git; what it unpacks goes to $SEARCH_BENCH_DIR (default: /tmp/sandbox-worker-search-bench).
set -eu

bench=$(realpath "${1:?usage: search.sh SEARCH_BENCH [ROUNDS]}")
rounds=${2:-7}
dir=${SEARCH_BENCH_DIR:-/tmp/sandbox-worker-search-bench}
source=/usr/src/linux-source-6.1.tar.xz

for needed in rg fdfind git; do
  command -v "$needed" >/dev/null || { echo "search.sh: $needed is missing (apt-get install ripgrep fd-find git)" >&2; exit 1; }
done
if [ ! -e "$dir/ready" ]; then
  [ -e "$source" ] || { echo "search.sh: $source is missing (apt-get install linux-source-6.1)" >&2; exit 1; }
  rm -rf "$dir"
  mkdir -p "$dir/small"
  tar -xf "$source" -C "$dir"
  mv "$dir/linux-source-6.1" "$dir/large"
  # Debian's package ignores everything at the top level, which would leave nothing to search.
  sed -i '\|^/\*$|d' "$dir/large/.gitignore"
  cp -r "$dir/large/block" "$dir/large/ipc" "$dir/large/sound/usb" "$dir/large/fs/ext4" "$dir/small"
  git init -q "$dir/large"
  git init -q "$dir/small"
  touch "$dir/ready"
fi
HOME=/nonexistent
export HOME
"$bench" "$dir/large" "$rounds"
echo
"$bench" "$dir/small" $((rounds * 5))
