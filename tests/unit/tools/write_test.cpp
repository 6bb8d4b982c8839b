#include "tools/write.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/support/append_only.hpp"
#include "tests/support/file_tools.hpp"
#include "tests/support/left_out.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;
using namespace std::string_literals;
using nlohmann::json;
using sandbox_worker::testing::leave_out;

namespace {

struct stat stat_of(const std::string& path) {
  struct stat info{};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info;
}

mode_t mode_of(const std::string& path) {
  return stat_of(path).st_mode & 07777U;
}

std::string write(const FileTools& tools, const std::string& path, const std::string& content) {
  return tools.write({{"file_path", path}, {"content", content}});
}

}  // namespace

TEST_CASE("write: a new file, its directories made, and a file replaced") {
  FileTools tools;
  CHECK(write(tools, "a/b/f", "one\n") == "Wrote 4 bytes to a/b/f (new file)");
  CHECK(tools.dir.read("a/b/f") == "one\n");
  CHECK(write(tools, tools.dir / "a/b/f", "") ==
        "Wrote 0 bytes to " + tools.dir / "a/b/f" + " (replaced 4 bytes)");
  CHECK(tools.dir.read("a/b/f").empty());
  const auto bytes = "nul \0 cr \r\n"s;
  write(tools, "f", bytes);
  CHECK(tools.dir.read("f") == bytes);
  CHECK(tools.dir.list() == "a a/b a/b/f f");
}

TEST_CASE("write: wrong or missing input changes nothing") {
  FileTools tools;
  tools.dir.write("f", "old");
  CHECK(tools.write({{"file_path", "f"}}) == "error: write: content is missing (a string is needed)");
  CHECK(tools.write({{"file_path", "f"}, {"content", nullptr}}) ==
        "error: write: content is missing (a string is needed)");
  CHECK(tools.write({{"file_path", "f"}, {"content", {{"a", 1}}}}) ==
        "error: write: content must be a string, not an object");
  CHECK(tools.write({{"content", "x"}}) == "error: write: file_path is missing (a string is needed)");
  CHECK(write(tools, "", "x") == "error: write: the path is empty; name a file or directory");
  CHECK(tools.dir.read("f") == "old");
  CHECK(tools.dir.list() == "f");
}

TEST_CASE("write: new files follow the umask, or are private; an old one keeps its mode") {
  FileTools tools;
  const auto before = ::umask(027);
  write(tools, "d/new", "");
  ::umask(before);
  CHECK(mode_of(tools.dir / "d/new") == 0640);
  CHECK(mode_of(tools.dir / "d") == 0750);
  tools.options.private_files = true;
  write(tools, "p/private", "");
  CHECK(mode_of(tools.dir / "p/private") == 0600);
  CHECK(mode_of(tools.dir / "p") == 0700);
  tools.dir.write("script", "");
  ::chmod((tools.dir / "script").c_str(), 0755);
  write(tools, "script", "new");
  CHECK(mode_of(tools.dir / "script") == 0755);
}

TEST_CASE("write: owner and extended attributes are kept") {
  FileTools tools;
  const auto path = tools.dir.write("f", "old");
  const bool attributes = ::setxattr(path.c_str(), "user.note", "kept", 4, 0) == 0;
  const bool owner = ::chown(path.c_str(), 12345, 23456) == 0;
  ::chmod(path.c_str(), 06755);
  CHECK(write(tools, "f", "new") == "Wrote 3 bytes to f (replaced 3 bytes)");
  CHECK(mode_of(path) == 06755);
  if (owner) {
    CHECK(stat_of(path).st_uid == 12345);
    CHECK(stat_of(path).st_gid == 23456);
  }
  if (attributes) {
    char value[8] = {};
    CHECK(::getxattr(path.c_str(), "user.note", value, sizeof value) == 4);
    CHECK(std::string(value) == "kept");
  }
}

TEST_CASE("write: links inside are followed to their target, links outside are refused") {
  FileTools tools;
  TempDir outside;
  outside.write("f", "outside");
  tools.dir.write("target", "old");
  tools.dir.link("link", "target");
  tools.dir.link("dangling", "made");
  tools.dir.link("out", outside / "f");
  tools.dir.link("out_dir", outside.path().string());
  CHECK(write(tools, "link", "new") == "Wrote 3 bytes to link (replaced 3 bytes)");
  CHECK(tools.dir.read("target") == "new");
  CHECK(std::filesystem::is_symlink(tools.dir / "link"));
  CHECK(write(tools, "dangling", "x") == "Wrote 1 byte to dangling (new file)");
  CHECK(tools.dir.read("made") == "x");
  CHECK(write(tools, "out", "x").starts_with("error: write: cannot open out: it is outside"));
  CHECK(write(tools, "out_dir/new/f", "x")
            .starts_with("error: write: cannot open out_dir/new/f: it is outside"));
  CHECK(write(tools, outside / "f", "x").starts_with("error: write: cannot open"));
  CHECK(outside.read("f") == "outside");
  CHECK(outside.list() == "f");
}

TEST_CASE("write: a hard-linked file is replaced under this name only, which is said") {
  FileTools tools;
  tools.dir.write("a", "old");
  std::filesystem::create_hard_link(tools.dir / "a", tools.dir / "b");
  CHECK(write(tools, "a", "new") ==
        "Wrote 3 bytes to a (replaced 3 bytes); it had 1 other hard link, which keeps the old content");
  CHECK(tools.dir.read("b") == "old");
}

TEST_CASE("write: what is no regular file is left alone") {
  FileTools tools;
  tools.dir.make_dir("dir");
  REQUIRE(::mkfifo((tools.dir / "fifo").c_str(), 0600) == 0);
  CHECK(write(tools, "dir", "x") ==
        "error: write: cannot open dir: it is a directory; name a file in it; list it with bash: ls -la");
  CHECK(write(tools, ".", "x").starts_with("error: write: cannot open .: it is a directory"));
  CHECK(write(tools, "new/", "x")
            .starts_with("error: write: cannot open new/: its end makes it the name of a directory;"));
  CHECK(write(tools, "fifo", "x") ==
        "error: write: cannot open fifo: it is a FIFO, not a regular file; use bash, with a time limit, if "
        "that is "
        "meant");
  CHECK(write(tools, "fifo/x", "x")
            .starts_with("error: write: cannot open fifo/x: a part of the path is not a directory"));
  CHECK(tools.dir.list() == "dir fifo");
}

TEST_CASE("write: when the disk is full the old file is whole and nothing else is left") {
  FileTools tools;
  tools.dir.write("f", "old");
  // A limit on file sizes fails in the middle of a write, as a full disk does.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto text = write(tools, "f", std::string(10'000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  CHECK(text ==
        "error: write: cannot write f: the file would be larger than allowed; write less, or several files");
  CHECK(tools.dir.read("f") == "old");
  CHECK(tools.dir.list() == "f");
}

TEST_CASE("write: a full and a read-only file system") {
  FileTools tools;
  const auto mounted = tools.dir.make_dir("mnt");
  if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=64k") != 0) {
    leave_out("MOUNTS");
    return;
  }
  tools.dir.write("mnt/f", "old");
  CHECK(write(tools, "mnt/f", std::string(200'000, 'x')) ==
        "error: write: cannot write mnt/f: no space left on the device; free some space (df -h shows where) "
        "and try "
        "again");
  CHECK(tools.dir.read("mnt/f") == "old");
  ::mount("tmpfs", mounted.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "");
  CHECK(
      write(tools, "mnt/f", "x") ==
      "error: write: cannot write mnt/f: the file system is read-only; use a directory that can be written");
  CHECK(write(tools, "mnt/d/f", "x")
            .starts_with("error: write: cannot open mnt/d/f: the file system is read-only"));
  CHECK(tools.dir.list() == "mnt mnt/f");
  ::umount2(mounted.c_str(), MNT_DETACH);
}

TEST_CASE("write: in an append-only directory no file is made that couldn't be removed again") {
  FileTools tools;
  tools.dir.write("d/f", "old");
  {
    const AppendOnly directory(tools.dir / "d");
    if (!directory) {
      leave_out("ATTRIBUTES");
      return;
    }
    for (const std::string path : {"d/f", "d/new"})
      CHECK(write(tools, path, "new") ==
            "error: write: cannot write " + path +
                ": its directory is append-only, so that files in it can be neither renamed nor removed; see "
                "lsattr -d, or write it in place with bash: cat >");
    CHECK(tools.edit({{"file_path", "d/f"}, {"old_string", "old"}, {"new_string", "new"}})
              .starts_with("error: edit: cannot write d/f: its directory is append-only"));
  }
  CHECK(tools.dir.list() == "d d/f");
  CHECK(tools.dir.read("d/f") == "old");
}

TEST_CASE("write: one that fails leaves none of the directories that it made") {
  FileTools tools;
  tools.dir.make_dir("there");
  tools.dir.link("link", "there");
  const std::string too_long(300, 'y');
  for (const std::string path : {"c1/c2/", "there/c1/", "link/c1/c2/", "there/../c1/", "c1/"}) {
    CAPTURE(path);
    CHECK(write(tools, path + too_long, "x").contains("too long"));
    std::stop_source stop;
    stop.request_stop();
    CHECK(write_file(tools.options, {.file_path = path + "f", .content = "x"}, stop.get_token()).is_error);
    CHECK(tools.dir.list() == "link there");
  }
  std::filesystem::remove_all(tools.dir.path() / "there");
  std::filesystem::remove(tools.dir.path() / "link");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += std::string(100, 'd') + "/";
  CHECK(write(tools, deep + too_long, "x").contains("too long"));
  CHECK(tools.dir.list().empty());
  CHECK(write(tools, "c1/c2/f", "x") == "Wrote 1 byte to c1/c2/f (new file)");
  CHECK(write(tools, "c1/c3/" + too_long, "x").contains("too long"));
  CHECK(tools.dir.list() == "c1 c1/c2 c1/c2/f");
}

TEST_CASE("write: an interrupted write changes nothing") {
  FileTools tools;
  tools.dir.write("f", "old");
  std::stop_source stop;
  stop.request_stop();
  const auto result = write_file(tools.options, {.file_path = "f", .content = "new"}, stop.get_token());
  CHECK(text_of(result) == "error: write: interrupted; the file is unchanged");
  CHECK(tools.dir.read("f") == "old");
  CHECK(tools.dir.list() == "f");
}
