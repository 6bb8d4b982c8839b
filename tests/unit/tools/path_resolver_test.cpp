#include "tools/path_resolver.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/left_out.hpp"
#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::leave_out;
using sandbox_worker::testing::TempDir;

namespace {

using Open = std::function<OrErrno<OpenedFile>(std::span<const Root>, std::string_view, int)>;
using Resolve =
    std::function<OrErrno<ResolvedPath>(std::span<const Root>, std::string_view, std::optional<mode_t>)>;

struct Way {
  std::string name;
  Open open;
  Resolve resolve;
};

const std::array kWays = {Way{"walk", walk_open, walk_resolve},
                          Way{"kernel first", open_in_roots, resolve_in_roots}};

Root make_root(const std::string& path, const std::string& given) {
  return {.path = path,
          .given = given,
          .fd = std::make_shared<const UniqueFd>(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
}

std::string content_of(int fd) {
  std::array<char, 256> buffer;
  const auto length = ::pread(fd, buffer.data(), buffer.size(), 0);
  return length < 0 ? "unreadable" : std::string(buffer.data(), static_cast<std::size_t>(length));
}

/// Roots "w" (also known as "alias") and "r2" beside a directory "out" that is none.
struct Tree {
  TempDir dir;
  std::vector<Root> roots;

  Tree() {
    dir.write("w/file", "file");
    dir.write("w/sub/deep/file", "deep");
    dir.write("r2/file", "two");
    dir.write("out/secret", "secret");
    dir.link("alias", dir / "w");
    roots.push_back(make_root(dir / "w", dir / "alias"));
    roots.push_back(make_root(dir / "r2", dir / "r2"));
  }
};

std::string outcome(const Way& way, const Tree& tree, const std::string& path) {
  auto opened = way.open(tree.roots, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (!opened) return fmt::format("errno {}", opened.error());
  struct stat info{};
  ::fstat(opened->fd.get(), &info);
  const auto where = opened->path.substr(tree.dir.path().string().size());
  return S_ISDIR(info.st_mode) ? where : fmt::format("{}={}", where, content_of(opened->fd.get()));
}

std::string error_text(int error) {
  return fmt::format("errno {}", error);
}

/// One row for every kind of path and link.
void check_table(std::span<const Way> ways) {
  Tree tree;
  const auto& dir = tree.dir;
  dir.link("w/rel", "sub/deep/file");
  dir.link("w/abs_inside", dir / "w/file");
  dir.link("w/abs_alias", dir / "alias/sub/deep");
  dir.link("w/abs_outside", dir / "out/secret");
  dir.link("w/abs_dir_outside", dir / "out");
  dir.link("w/rel_outside", "../out/secret");
  dir.link("w/rel_back", "../w/file");
  dir.link("w/to_r2", dir / "r2");
  dir.link("w/rel_to_r2", "../r2/file");
  dir.link("w/loop", "loop");
  dir.link("w/loop_a", "loop_b");
  dir.link("w/loop_b", dir / "w/loop_a");
  dir.link("w/dangling", "nothing");
  dir.link("w/dangling_abs", dir / "w/nothing");
  dir.link("w/slash_link", "sub/");
  dir.link("w/file_slash_link", "file/");
  dir.link("w/proc_root", "/proc/self/root");
  dir.link("w/sub/up", "..");
  dir.link("r2/back", dir / "w/sub");
  for (int i = 0; i < 45; ++i)
    dir.link(fmt::format("w/chain{}", i), i == 0 ? "file" : fmt::format("chain{}", i - 1));

  const auto root = dir.path().string();
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"file", "/w/file=file"},
      {"./file", "/w/file=file"},
      {"sub//deep/./file", "/w/sub/deep/file=deep"},
      {".", "/w"},
      {"sub/..", "/w"},
      {"sub/.", "/w/sub"},
      {"sub/", "/w/sub"},
      {"sub/deep/..", "/w/sub"},
      {"file/", error_text(ENOTDIR)},
      {"file/.", error_text(ENOTDIR)},
      {"file/x", error_text(ENOTDIR)},
      {"nothing", error_text(ENOENT)},
      {"nothing/x", error_text(ENOENT)},
      {"", error_text(ENOENT)},
      {"sub/../file", "/w/file=file"},
      {"sub/deep/../../file", "/w/file=file"},
      {"..", error_text(EXDEV)},
      {"../out/secret", error_text(EXDEV)},
      {"sub/../../out/secret", error_text(EXDEV)},
      {"../w/file", "/w/file=file"},
      {"../r2/file", "/r2/file=two"},
      {"../../../../../../../../../../etc/passwd", error_text(EXDEV)},
      {root + "/w/file", "/w/file=file"},
      {root + "/w", "/w"},
      {root + "/w/", "/w"},
      {root + "//w/./sub/../file", "/w/file=file"},
      {root + "/out/../w/file", "/w/file=file"},
      {root + "/w/../out/secret", error_text(EXDEV)},
      {root + "/w/../w/file", "/w/file=file"},
      {root + "/alias/file", "/w/file=file"},
      {root + "/r2/file", "/r2/file=two"},
      {root + "/w2", error_text(EXDEV)},
      {root + "/out/secret", error_text(EXDEV)},
      {"/", error_text(EXDEV)},
      {"/etc/passwd", error_text(EXDEV)},
      {"/proc/self/root" + root + "/out/secret", error_text(EXDEV)},
      {"rel", "/w/sub/deep/file=deep"},
      {"abs_inside", "/w/file=file"},
      {"abs_alias/file", "/w/sub/deep/file=deep"},
      {"abs_outside", error_text(EXDEV)},
      {"abs_dir_outside/secret", error_text(EXDEV)},
      {"rel_outside", error_text(EXDEV)},
      {"rel_back", "/w/file=file"},
      {"to_r2", "/r2"},
      {"to_r2/file", "/r2/file=two"},
      {"to_r2/../w/file", "/w/file=file"},
      {"to_r2/back/deep/file", "/w/sub/deep/file=deep"},
      {"rel_to_r2", "/r2/file=two"},
      {"loop", error_text(ELOOP)},
      {"loop/x", error_text(ELOOP)},
      {"loop_a", error_text(ELOOP)},
      {"dangling", error_text(ENOENT)},
      {"dangling_abs", error_text(ENOENT)},
      {"slash_link", "/w/sub"},
      {"slash_link/deep/file", "/w/sub/deep/file=deep"},
      {"file_slash_link", error_text(ENOTDIR)},
      {"proc_root", error_text(EXDEV)},
      {"proc_root/etc/passwd", error_text(EXDEV)},
      {"sub/up/file", "/w/file=file"},
      {"sub/up/sub/up/sub/deep/file", "/w/sub/deep/file=deep"},
      {"chain39", "/w/file=file"},
      {"chain40", error_text(ELOOP)},
      {std::string(256, 'n'), error_text(ENAMETOOLONG)},
  };
  for (const auto& way : ways)
    for (const auto& [path, expected] : rows) {
      CAPTURE(path);
      CAPTURE(way.name);
      CHECK(outcome(way, tree, path) == expected);
    }
}

/// Lets openat2 fail with `error` in this thread, as container runtimes do that don't know it.
bool forbid_openat2(int error) {
  std::array filter = {
      sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_openat2},
      sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)},
      sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

TEST_CASE("paths: both ways of resolving agree on every kind of path and link") {
  check_table(kWays);
}

TEST_CASE("paths: where openat2 is missing or forbidden the outcome is the same") {
  for (const int error : {ENOSYS, EPERM}) {
    bool forbidden = false;
    std::jthread([&] {
      forbidden = forbid_openat2(error);
      if (forbidden) check_table(kWays);
    }).join();
    if (!forbidden) leave_out("SECCOMP");
  }
}

TEST_CASE("paths: the kernel alone never gives more than the walk") {
  Tree tree;
  tree.dir.link("w/out", "../out");
  tree.dir.link("w/magic", "/proc/self/root");
  for (const char* path :
       {"../out/secret", "out/secret", "magic/etc/passwd", "/etc/passwd", "sub/../../out/secret"}) {
    CAPTURE(path);
    CHECK_FALSE(open_beneath(tree.roots.front().descriptor(), path, O_RDONLY));
  }
}

TEST_CASE("paths: magic links of /proc lead nowhere, even when /proc lies inside a root") {
  Tree tree;
  tree.roots.push_back(make_root("/proc", "/proc"));
  for (const auto& way : kWays) {
    CAPTURE(way.name);
    CHECK(outcome(way, tree, "/proc/self/root/etc/passwd") == error_text(EXDEV));
    CHECK(outcome(way, tree, "/proc/self/cwd") == error_text(EXDEV));
  }
}

TEST_CASE("paths: a mount point below a root is inside, and .. leads out of it again") {
  Tree tree;
  const auto mounted = tree.dir.make_dir("w/mnt");
  if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=64k") != 0) {
    leave_out("MOUNTS");
    return;
  }
  tree.dir.write("w/mnt/file", "mounted");
  for (const auto& way : kWays) {
    CHECK(outcome(way, tree, "mnt/file") == "/w/mnt/file=mounted");
    CHECK(outcome(way, tree, "mnt/../file") == "/w/file=file");
    CHECK(outcome(way, tree, "mnt/../../out/secret") == error_text(EXDEV));
  }
  ::umount2(mounted.c_str(), MNT_DETACH);
}

TEST_CASE("paths: a place to write follows links inside, and makes directories only when asked") {
  for (const auto& way : kWays) {
    Tree tree;
    const auto& dir = tree.dir;
    dir.link("w/link", "sub/new");
    dir.link("w/abs", dir / "r2/new");
    dir.link("w/out", dir / "out/new");
    dir.link("w/out_dir", dir / "out");
    const auto place = [&](const std::string& path, std::optional<mode_t> make = std::nullopt) {
      auto found = way.resolve(tree.roots, path, make);
      if (!found) return error_text(found.error());
      found->made.keep();
      return found->path.substr(dir.path().string().size()) + " " + found->name;
    };
    CAPTURE(way.name);
    CHECK(place("file") == "/w/file file");
    CHECK(place("new") == "/w/new new");
    CHECK(place("link") == "/w/sub/new new");
    CHECK(place("abs") == "/r2/new new");
    CHECK(place("out") == error_text(EXDEV));
    CHECK(place("out_dir/new") == error_text(EXDEV));
    CHECK(place("out_dir/a/b", 0777) == error_text(EXDEV));
    CHECK(place("../out/a/b", 0777) == error_text(EXDEV));
    CHECK(place(".") == "/w .");
    CHECK(place("new/") == error_text(EISDIR));
    CHECK(place("a/b/c") == error_text(ENOENT));
    CHECK(place("file/c", 0777) == error_text(ENOTDIR));
    CHECK(place("a/b/c", 0777) == "/w/a/b/c c");
    CHECK(place("a/../x/y", 0777) == "/w/x/y y");
    CHECK(std::filesystem::is_directory(dir / "w/a/b"));
    CHECK(dir.read("out/secret") == "secret");
    CHECK_FALSE(std::filesystem::exists(dir / "out/a"));
  }
}

TEST_CASE("paths: 200 levels of 255 bytes are longer than one call takes, and are reached") {
  Tree tree;
  const std::string name(255, 'd');
  std::string path;
  for (int i = 0; i < 200; ++i) path += name + "/";
  for (const auto& way : kWays) {
    auto place = way.resolve(tree.roots, path + "file", 0777);
    REQUIRE(place);
    UniqueFd made(::openat(place->parent.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK(made);
    auto opened = way.open(tree.roots, path + "file", O_RDONLY);
    REQUIRE(opened);
    CHECK(opened->path == tree.dir / "w/" + path + "file");
  }
}

TEST_CASE("paths: however components are swapped for links meanwhile, nothing outside is opened") {
  Tree tree;
  const auto& dir = tree.dir;
  dir.write("w/a/b/file", "inside");
  dir.write("out/b/file", "OUTSIDE");
  dir.link("w/evil", dir / "out");
  dir.link("w/evil_relative", "../out");
  std::atomic<bool> done = false;
  std::thread attacker([&] {
    // RENAME_EXCHANGE leaves no moment in which the name is missing.
    const int w = tree.roots.front().descriptor();
    for (unsigned i = 0; !done.load(std::memory_order_relaxed); ++i)
      ::renameat2(w, "a", w, i % 2 == 0 ? "evil" : "evil_relative", RENAME_EXCHANGE);
  });
  int inside = 0;
  int outside = 0;
  for (int i = 0; i < 50'000; ++i)
    for (const auto& way : kWays) {
      if (auto opened = way.open(tree.roots, "a/b/file", O_RDONLY)) {
        const bool good = content_of(opened->fd.get()) == "inside";
        good ? ++inside : ++outside;
      }
      if (auto place = way.resolve(tree.roots, "a/../a/b/new", 0777)) {
        struct stat info{};
        if (::fstatat(place->parent.get(), "file", &info, 0) == 0 && info.st_size == 7) ++outside;
      }
    }
  done = true;
  attacker.join();
  CHECK(outside == 0);
  CHECK(inside > 0);
  CHECK_FALSE(std::filesystem::exists(dir / "out/a"));
}
