#include "tools/walk.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <set>

#include "tests/support/search_tools.hpp"
#include "tools/file_list.hpp"
#include "tools/open_without_links.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::SearchTools;

namespace {

std::vector<std::string> listed(const SearchTools& tree, unsigned threads, std::uint64_t* ignored = nullptr) {
  const Deadline deadline;
  const UniqueFd fd(::open(tree.root.c_str(), O_RDONLY | O_DIRECTORY));
  Walk walk({.root = fd.get(),
             .outer = {.scope = std::make_shared<IgnoreScope>(), .prefix = ""},
             .pool = tree.options.pool,
             .threads = threads},
            deadline);
  std::uint64_t count = 0;
  const FileList list = FileList::collect(walk, deadline, count);
  if (ignored != nullptr) *ignored = count;
  std::vector<std::string> out;
  for (const auto file : list.files()) out.push_back(list.directory(file) + list.name(file));
  return out;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("walk: files in the order of their paths, byte by byte, with any number of threads") {
  SearchTools tree;
  const Paths expected = {"a-b", "a.c", "a/b.c", "a/b/c", "a/z", "a0", "b/x/y/z", "\xC3\xA9"};
  for (const auto& path : expected) tree.write(path, "");
  for (unsigned threads = 1; threads <= 3; ++threads) CHECK(listed(tree, threads) == expected);
}

TEST_CASE("walk: .git and node_modules are left out, other hidden files are not") {
  SearchTools tree;
  for (const char* path : {".git/HEAD", "x/.git/HEAD", "node_modules/a/b", ".github/a", ".a"})
    tree.write(path, "");
  CHECK(listed(tree, 2) == Paths{".a", ".github/a"});
}

TEST_CASE("walk: links, FIFOs and sockets are passed by") {
  SearchTools tree;
  tree.write("real/a", "");
  CHECK(::mkfifo((tree.root + "/fifo").c_str(), 0600) == 0);
  CHECK(::symlink("real", (tree.root + "/link").c_str()) == 0);
  CHECK(::symlink("/etc", (tree.root + "/out").c_str()) == 0);
  CHECK(::symlink("real/a", (tree.root + "/file").c_str()) == 0);
  CHECK(::symlink("..", (tree.root + "/real/loop").c_str()) == 0);
  CHECK(listed(tree, 2) == Paths{"real/a"});
}

TEST_CASE("walk: a tree deeper than the longest path") {
  SearchTools tree;
  const std::string name(200, 'd');
  UniqueFd at(::open(tree.root.c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 40; ++i) {
    REQUIRE(::mkdirat(at.get(), name.c_str(), 0700) == 0);
    at = UniqueFd(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
  }
  UniqueFd file(::openat(at.get(), "end", O_CREAT | O_WRONLY, 0600));
  const auto paths = listed(tree, 2);
  REQUIRE(paths.size() == 1);
  CHECK(paths[0].size() == 40 * 201 + 3);
  for (int i = 0; i < 40; ++i) {
    ::unlinkat(at.get(), i == 0 ? "end" : name.c_str(), i == 0 ? 0 : AT_REMOVEDIR);
    at = UniqueFd(::openat(at.get(), "..", O_RDONLY | O_DIRECTORY));
  }
  ::unlinkat(at.get(), name.c_str(), AT_REMOVEDIR);
}

TEST_CASE("walk: a deadline that has passed ends it") {
  SearchTools tree;
  for (int i = 0; i < 100; ++i) tree.write("d" + std::to_string(i) + "/a", "");
  std::stop_source stop;
  stop.request_stop();
  const Deadline deadline(stop.get_token(), {});
  const UniqueFd fd(::open(tree.root.c_str(), O_RDONLY | O_DIRECTORY));
  Walk walk({.root = fd.get(), .outer = {}, .pool = tree.options.pool, .threads = 2}, deadline);
  std::uint64_t ignored = 0;
  CHECK(FileList::collect(walk, deadline, ignored).files().empty());
}

TEST_CASE("open_without_links: goes down, never through a link or up") {
  SearchTools tree;
  tree.write("a/b/c", "");
  CHECK(::symlink("a", (tree.root + "/link").c_str()) == 0);
  const UniqueFd root(::open(tree.root.c_str(), O_RDONLY | O_DIRECTORY));
  CHECK(open_without_links(root.get(), "a/b/c", O_RDONLY));
  CHECK(open_without_links(root.get(), "a/b/", O_RDONLY | O_DIRECTORY));
  CHECK(open_without_links(root.get(), "", O_RDONLY | O_DIRECTORY));
  CHECK_FALSE(open_without_links(root.get(), "link/b/c", O_RDONLY));
  CHECK_FALSE(open_without_links(root.get(), "link", O_RDONLY));
  CHECK_FALSE(open_without_links(root.get(), "../x", O_RDONLY));
  CHECK_FALSE(open_without_links(root.get(), std::string(5000, 'x') + "/../..", O_RDONLY));
}
