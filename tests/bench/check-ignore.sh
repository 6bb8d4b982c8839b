#!/bin/sh
# Compares the ignore rules with git's on the Linux source tree: check-ignore.sh CHECK_IGNORE. Beside the tree as it
# is, on one in which every directory also has what a build leaves there, and on that one with Debian's rule that
# ignores everything at the top. Needs Debian's linux-source-6.1 and git; what it unpacks goes to $SEARCH_BENCH_DIR.
set -eu

check=$(realpath "${1:?usage: check-ignore.sh CHECK_IGNORE}")
here=$(dirname "$(realpath "$0")")
dir=${SEARCH_BENCH_DIR:-/tmp/sandbox-worker-search-bench}
"$here/linux-tree" "$dir"

built=$dir/built
rm -rf "$built"
trap 'rm -rf "$built"' EXIT
mkdir "$built"
cp -r --attributes-only "$dir/large/." "$built"
rm -rf "$built/.git"
git init -q "$built"
(cd "$dir/large" && find . -name .gitignore) | while read -r rules; do cp "$dir/large/$rules" "$built/$rules"; done
find "$built" -name .git -prune -o -type d -print | while read -r directory; do
  (cd "$directory" && touch a.o .a.o.cmd a.ko a.mod a.mod.c a.s a.i a.patch a.orig x.gcno built-in.a modules.order \
    Module.symvers tags vmlinux vmlinux.bin core .config .hidden .clang-format keep.gitignore 'a~' '#a#' a.tar.gz \
    a.dtb a.dtb.S a.asn1.c capability_names.h raid6.c generated a.so.dbg TAGS cscope.out bin.x86 wakeup.elf)
done

echo "as it is:";               "$check" "$dir/large"
echo "with what builds leave:"; "$check" "$built"
(echo '/*'; cat "$dir/large/.gitignore") >"$built/.gitignore"
echo "and Debian's /* on top:"; "$check" "$built"
