// What read, write and edit do together, and in trees that change, belong to others or lie on other file
// systems.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/as_user.hpp"
#include "tests/support/file_tools.hpp"
#include "tests/support/left_out.hpp"
#include "tools/atomic_file.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;
using nlohmann::json;
using sandbox_worker::testing::leave_out;

namespace {

std::string read_now(const FileTools& tools, const std::string& path) {
  return text_of(read_file(tools.workspace, {.file_path = path, .view_range = {}}, tools.options.limits, {}));
}

std::string write_now(const FileTools& tools, const std::string& path, const std::string& content) {
  return text_of(write_file(tools.options, {.file_path = path, .content = content}, {}));
}

std::string edit_now(const FileTools& tools, const std::string& path, const std::string& from,
                     const std::string& to) {
  return text_of(edit_file(tools.options, {.file_path = path, .old_string = from, .new_string = to}, {}));
}

bool is_link(const UniqueFd& directory, const char* name) {
  char target = 0;
  return ::readlinkat(directory.get(), name, &target, 1) >= 0;
}

/// The three tools on a tree of its own, which may be a mount.
void check_tools_in(const FileTools& tools, const std::string& directory) {
  CHECK(write_now(tools, directory + "/new/f", "one\n").ends_with("(new file)"));
  CHECK(edit_now(tools, directory + "/new/f", "one", "two").starts_with("Edited"));
  CHECK(read_now(tools, directory + "/new/f") == "two\n");
  CHECK(write_now(tools, directory + "/new/f", "three\n").ends_with("(replaced 4 bytes)"));
  CHECK(read_now(tools, directory + "/new/f") == "three\n");
}

}  // namespace

TEST_CASE("file tools: while components are swapped for links, nothing outside is read or written") {
  FileTools tools;
  TempDir outside;
  for (const char* name : {"f", "b/f"}) outside.write(name, "OUTSIDE");
  tools.dir.write("a/f", "inside");
  tools.dir.write("a/b/f", "inside");
  tools.dir.link("evil_dir", outside.path().string());
  tools.dir.link("evil_file", outside / "f");
  constexpr int kLinks = 50'000;  // of each kind; every other swap takes the link away again
  std::atomic<bool> done = false;
  int directory_links = 0;
  int file_links = 0;
  std::jthread attacker([&] {
    const UniqueFd root(::open(tools.dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd a(::openat(root.get(), "a", O_PATH | O_DIRECTORY | O_CLOEXEC));  // whatever name it has
    while (directory_links < kLinks || file_links < kLinks) {
      if (::renameat2(root.get(), "a", root.get(), "evil_dir", RENAME_EXCHANGE) != 0) break;
      if (is_link(root, "a")) ++directory_links;
      if (::renameat2(a.get(), "f", root.get(), "evil_file", RENAME_EXCHANGE) != 0) break;
      if (is_link(a, "f")) {
        ++file_links;
      } else if (!is_link(root, "evil_file")) {  // a write that had found a file there has replaced the link
        if (::symlinkat((outside / "f").c_str(), root.get(), "link") != 0) break;
        if (::renameat(root.get(), "link", root.get(), "evil_file") != 0) break;
      }
    }
    done = true;
  });
  int rounds = 0;
  bool leaked = false;
  while (!done) {
    ++rounds;
    for (const char* path : {"a/f", "a/b/f", "evil_dir/b/f", "evil_file"}) {
      leaked = leaked || read_now(tools, path).contains("OUTSIDE");
      leaked = leaked || edit_now(tools, path, "OUTSIDE", "changed").starts_with("Edited");
      write_now(tools, path, "inside");
    }
    write_now(tools, "a/new/f", "inside");
    write_now(tools, "evil_dir/../a/new2/f", "inside");
  }
  attacker.join();
  CHECK(rounds > 0);
  CHECK(directory_links >= kLinks);
  CHECK(file_links >= kLinks);
  CHECK_FALSE(leaked);
  CHECK(outside.read("f") == "OUTSIDE");
  CHECK(outside.read("b/f") == "OUTSIDE");
}

TEST_CASE(
    "file tools: a file that grows and shrinks while it is read is some state of it, and never a crash") {
  FileTools tools;
  const auto path = tools.dir.write("f", std::string(100'000, 'x'));
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    for (int i = 0; !done; ++i) std::filesystem::resize_file(path, i % 2 == 0 ? 10 : 200'000);
  });
  for (int i = 0; i < 2'000; ++i) {
    const auto whole = read_now(tools, "f");
    if (whole.starts_with("error") && !whole.contains("NUL")) FAIL(whole);
  }
  done = true;
}

TEST_CASE("file tools: an edit doesn't undo what changed the file meanwhile") {
  FileTools tools;
  tools.dir.write("f", "old");
  const auto place = tools.workspace.resolve("f");
  REQUIRE(place);
  const auto old = open_existing(*place, "f", O_RDONLY);
  REQUIRE(old);
  tools.dir.write("f", "by another");
  const auto replaced =
      replace_file(*place, "f", {.bytes = "edited", .old = &**old, .based_on_old = true}, std::stop_token());
  REQUIRE_FALSE(replaced);
  CHECK(replaced.error().text ==
        "cannot write f: it was changed meanwhile; read it again and repeat the change");
  CHECK(tools.dir.read("f") == "by another");
  CHECK(tools.dir.list() == "f");
}

TEST_CASE("file tools: names of real trees, and one byte too many") {
  FileTools tools;
  for (const std::string& name :
       {std::string("two words"), std::string("line\nbreak"), std::string("-rf"), std::string("--"),
        std::string("$HOME `x` \"'"), std::string("Case"), std::string("case"),
        std::string("\xC3\xBC\xE2\x82\xAC"), std::string("in\xFFvalid"), std::string("trailing "),
        std::string("..."), std::string(255, 'n')}) {
    CAPTURE(name);
    check_tools_in(tools, name);
  }
  const std::string longer(256, 'n');
  CHECK(
      write_now(tools, longer, "x").find("the path or a name in it is too long; a name can have 255 bytes") !=
      std::string::npos);
  CHECK(edit_now(tools, longer, "x", "y").find("too long; a name can have 255 bytes") != std::string::npos);
}

TEST_CASE("file tools: 200 levels deep") {
  FileTools tools;
  std::string path;
  for (int i = 0; i < 200; ++i) path += std::string(50, 'd') + "/";
  check_tools_in(tools, path + "end");
}

TEST_CASE("file tools: on tmpfs and on overlayfs, also over a file of a lower layer") {
  FileTools tools;
  const auto mounted = tools.dir.make_dir("tmpfs");
  if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=4m") != 0) {
    leave_out("MOUNTS");
    return;
  }
  check_tools_in(tools, "tmpfs");
  tools.dir.write("lower/f", "lower\n");
  for (const char* name : {"tmpfs/upper", "tmpfs/work", "merged"}) tools.dir.make_dir(name);
  const auto layers = fmt::format("lowerdir={},upperdir={},workdir={}", tools.dir / "lower",
                                  tools.dir / "tmpfs/upper", tools.dir / "tmpfs/work");
  if (::mount("overlay", (tools.dir / "merged").c_str(), "overlay", 0, layers.c_str()) == 0) {
    check_tools_in(tools, "merged");
    CHECK(edit_now(tools, "merged/f", "lower", "edited").starts_with("Edited merged/f: 1 occurrence"));
    CHECK(read_now(tools, "merged/f") == "edited\n");
    CHECK(tools.dir.read("lower/f") == "lower\n");
    ::umount2((tools.dir / "merged").c_str(), MNT_DETACH);
  } else {
    leave_out("OVERLAYFS");
  }
  ::umount2(mounted.c_str(), MNT_DETACH);
}

TEST_CASE("file tools: a file that is a mount point can't be replaced, and the error says what to do") {
  FileTools tools;
  const auto file = tools.dir.write("f", "old");
  const auto other = tools.dir.write("other", "mounted");
  if (::mount(other.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    leave_out("MOUNTS");
    return;
  }
  CHECK(read_now(tools, "f") == "mounted");
  CHECK(write_now(tools, "f", "new") ==
        "error: write: cannot write f: it is in use, or a mount point of its own; write it in place with "
        "bash: cat >");
  CHECK(read_now(tools, "f") == "mounted");
  ::umount2(file.c_str(), MNT_DETACH);
  CHECK(tools.dir.list() == "f other");
}

TEST_CASE("file tools: files of others, and what may not be read or written, as a user without rights") {
  FileTools tools;
  const auto root = tools.dir.path();
  tools.dir.write("theirs", "theirs");
  tools.dir.write("secret", "secret");
  tools.dir.write("fixed", "fixed");
  tools.dir.write("closed/f", "closed");
  std::filesystem::permissions(root, std::filesystem::perms(0777));
  std::filesystem::permissions(root / "theirs", std::filesystem::perms(04666));
  std::filesystem::permissions(root / "secret", std::filesystem::perms(0600));
  std::filesystem::permissions(root / "fixed", std::filesystem::perms(0444));
  std::filesystem::permissions(root / "closed/f", std::filesystem::perms(0666));
  tools.dir.write("drop", "theirs");
  std::filesystem::permissions(root / "drop", std::filesystem::perms(0222));
  const AsUser user;
  if (!user.ok()) {
    leave_out("ROOT");
    return;
  }
  CHECK(write_now(tools, "theirs", "ours") ==
        "Wrote 4 bytes to theirs (replaced 6 bytes); its owner could not be kept");
  CHECK(std::filesystem::status(root / "theirs").permissions() == std::filesystem::perms(0666));
  CHECK(write_now(tools, "drop", "ours").starts_with("Wrote 4 bytes to drop (replaced 6 bytes)"));
  CHECK(std::filesystem::status(root / "drop").permissions() == std::filesystem::perms(0222));
  CHECK(edit_now(tools, "drop", "ours", "x").starts_with("error: edit: cannot open drop: permission denied"));
  CHECK(read_now(tools, "secret") ==
        "error: read: cannot open secret: permission denied; see its mode and owner with bash: ls -ld");
  CHECK(edit_now(tools, "fixed", "fixed", "x") ==
        "error: edit: cannot write fixed: permission denied; see its mode and owner with bash: ls -ld");
  CHECK(write_now(tools, "closed/f", "x") ==
        "error: write: cannot write closed/f: no permission to make files in its directory; see ls -ld, or "
        "write it in "
        "place with bash: cat >");
  CHECK(
      write_now(tools, "closed/new/f", "x") ==
      "error: write: cannot open closed/new/f: permission denied; see its mode and owner with bash: ls -ld");
  CHECK(tools.dir.read("fixed") == "fixed");
  CHECK(tools.dir.read("closed/f") == "closed");
  CHECK(tools.dir.list() == "closed closed/f drop fixed secret theirs");
}

TEST_CASE("file tools: the files of /proc that no file can be made beside, or that wait") {
  FileTools tools;
  REQUIRE(tools.workspace.add_root("/proc"));
  CHECK(
      write_now(tools, "/proc/self/comm", "x") ==
      "error: write: cannot write /proc/self/comm: no files can be made in its directory, which was removed "
      "or is one like /proc; check the path, or write it in place with bash: cat >");
  CHECK(
      system_error_text("read", "/proc/kmsg", EAGAIN) ==
      "cannot read /proc/kmsg: it has nothing to read now, and would make the reader wait; use bash, with a "
      "time limit");
}

TEST_CASE("file tools: a workdir that is removed, and made again by hand or by write") {
  FileTools tools;
  tools.dir.write("f", "one");
  std::filesystem::remove_all(tools.dir.path());
  CHECK(read_now(tools, "f").contains("was removed"));
  CHECK(edit_now(tools, "f", "one", "two").contains("was removed"));
  CHECK(write_now(tools, "a/f", "two") == "Wrote 3 bytes to a/f (new file)");
  CHECK(read_now(tools, "a/f") == "two");
  std::filesystem::remove_all(tools.dir.path());
  tools.dir.write("f", "three");
  CHECK(read_now(tools, "f") == "three");
  check_tools_in(tools, "d");
}

TEST_CASE("file tools: a cancelled call completes with a result that says so") {
  FileTools tools;
  tools.dir.write("f", "old");
  boost::asio::io_context io;
  boost::asio::cancellation_signal cancel;
  Write write(tools.options);
  const auto place = tools.workspace.resolve("f");
  REQUIRE(place);
  auto lock = tools.locks.lock(*place);  // the call waits for it
  std::string text;
  boost::asio::co_spawn(io, write.run({{"file_path", "f"}, {"content", "new"}}),
                        boost::asio::bind_cancellation_slot(
                            cancel.slot(), [&](const std::exception_ptr& error, ToolResult result) {
                              CHECK_FALSE(error);
                              text = text_of(result);
                            }));
  boost::asio::post(io, [&] {
    cancel.emit(boost::asio::cancellation_type::terminal);
    lock.unlock();
  });
  io.run();
  CHECK(text == "error: write: interrupted; the file is unchanged");
  CHECK(tools.dir.read("f") == "old");
}
