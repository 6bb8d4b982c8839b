#include "tools/walk.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
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
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  REQUIRE(tree.root.size() + 8 < sizeof address.sun_path);
  std::strcpy(address.sun_path, (tree.root + "/socket").c_str());
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
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

TEST_CASE("walk: a directory with more entries than are kept at once") {
  SearchTools tree(SearchTools::in_memory());
  // The rules hold for all, wherever their file stands in the listing.
  constexpr int kFiles = 40'000;
  Paths expected{".gitignore"};
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = fmt::format("{:05}.{}", i, i % 10 == 0 ? "o" : "c");
    REQUIRE(UniqueFd(::open((tree.root + "/" + name).c_str(), O_CREAT | O_WRONLY, 0600)));
    if (i % 10 != 0) expected.push_back(name);
  }
  tree.write(".gitignore", "*.o\n");
  tree.write("20000.d/x", "");
  tree.write("20000.d/y.o", "");
  expected.insert(std::ranges::lower_bound(expected, "20000.d/x"), "20000.d/x");
  for (unsigned threads = 1; threads <= 2; ++threads) {
    std::uint64_t ignored = 0;
    CHECK(listed(tree, threads, &ignored) == expected);
    CHECK(ignored == kFiles / 10 + 1);
  }
}

TEST_CASE("walk: many directories in one") {
  SearchTools tree(SearchTools::in_memory());
  Paths expected;
  for (int i = 0; i < 20'000; ++i) {
    const std::string directory = fmt::format("{}/{:05}", tree.root, i);
    REQUIRE(::mkdir(directory.c_str(), 0700) == 0);
    if (i % 100 != 0) continue;
    tree.write(fmt::format("{:05}/a", i), "");
    expected.push_back(fmt::format("{:05}/a", i));
  }
  for (unsigned threads = 1; threads <= 2; ++threads) CHECK(listed(tree, threads) == expected);
}

namespace {

/// Asks for the end at the thousandth file.
class StopAtFile final : public WalkVisitor {
 public:
  StopAtFile(std::stop_source& stop, std::size_t& files) : stop_(stop), files_(files) {}
  void enter(std::string_view, int, bool) override {}
  bool wants(std::string_view, bool) override { return true; }
  void file(std::string_view, bool) override {
    if (++files_ == 1000) stop_.request_stop();
  }

 private:
  std::stop_source& stop_;
  std::size_t& files_;
};

}  // namespace

TEST_CASE("walk: a stop is seen in the middle of a directory") {
  SearchTools tree(SearchTools::in_memory());
  for (int i = 0; i < 20'000; ++i) {
    REQUIRE(UniqueFd(::open(fmt::format("{}/{}", tree.root, i).c_str(), O_CREAT | O_WRONLY, 0600)));
  }
  std::stop_source stop;
  const Deadline deadline(stop.get_token(), {});
  const UniqueFd fd(::open(tree.root.c_str(), O_RDONLY | O_DIRECTORY));
  Walk walk({.root = fd.get(), .outer = {}, .threads = 1}, deadline);
  std::size_t files = 0;
  walk.run([&] { return std::make_unique<StopAtFile>(stop, files); });
  CHECK(files >= 1000);
  CHECK(files < 1000 + 2 * 1024);
}

TEST_CASE("walk: a deadline that has passed ends it") {
  SearchTools tree;
  for (int i = 0; i < 100; ++i) tree.write("d" + std::to_string(i) + "/a", "");
  std::stop_source stop;
  stop.request_stop();
  const Deadline deadline(stop.get_token(), {});
  const UniqueFd fd(::open(tree.root.c_str(), O_RDONLY | O_DIRECTORY));
  Walk walk({.root = fd.get(), .outer = {}, .threads = 2}, deadline);
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
