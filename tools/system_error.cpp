#include "tools/system_error.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace sandbox_worker::tools {
namespace {

struct Wording {
  int error;
  std::string_view why;
  std::string_view advice;
};

constexpr std::array kWordings = {
    Wording{ENOENT, "no such file or directory", "check the path, e.g. with glob"},
    Wording{ENOTDIR, "a part of the path is not a directory", "check the path, e.g. with glob"},
    Wording{EISDIR, "it is a directory", "name a file in it; list it with bash: ls -la"},
    Wording{EACCES, "permission denied", "see its mode and owner with bash: ls -ld"},
    Wording{EPERM, "operation not permitted", "see its owner and attributes with bash: ls -ld, lsattr -d"},
    Wording{ELOOP, "too many symbolic links, perhaps a loop", "name the file that is meant"},
    Wording{ENAMETOOLONG, "the path or a name in it is too long", "a name can have 255 bytes"},

    Wording{EINVAL, "not valid here", "check the path"},
    Wording{ENOSPC, "no space left on the device", "free some space (df -h shows where) and try again"},
    Wording{EDQUOT, "the disk quota is used up", "free some space and try again"},
    Wording{EFBIG, "the file would be larger than allowed", "write less, or several files"},
    Wording{EROFS, "the file system is read-only", "use a directory that can be written"},
    Wording{EMFILE, "too many open files", "try again; if it goes on, end background jobs"},
    Wording{ENFILE, "too many open files on the machine", "try again; if it goes on, end background jobs"},
    Wording{ENOMEM, "out of memory", "try again; if it goes on, end background jobs"},
    Wording{EIO, "the device reported an error", "try again once"},
    Wording{EAGAIN, "it keeps being changed meanwhile", "try again when nothing else changes it"},
    Wording{ETIMEDOUT, "the file system does not answer", "use another directory"},
    Wording{ESTALE, "it was changed meanwhile", "read it again and repeat the change"},
    Wording{EBUSY, "it is in use, or a mount point of its own", "write it in place with bash: cat >"},
    Wording{ETXTBSY, "it is a program that runs", "stop the program first"},
    Wording{ENXIO, "it is a socket, or a device that isn't there", "name a regular file"},
    Wording{ENODEV, "there is no such device", "name a regular file"},
    Wording{EOPNOTSUPP, "the file system does not support it", "use another directory"},
    Wording{EEXIST, "it exists already", "use another name"},
};

// While a file is read, EAGAIN has another meaning than while its path is resolved.
constexpr Wording kWouldWait{EAGAIN, "it has nothing to read now, and would make the reader wait",
                             "use bash, with a time limit"};

std::string only_in_place(std::string_view path, std::string_view why) {
  return fmt::format("cannot write {}: {}, or write it in place with bash: cat >", path, why);
}

}  // namespace

std::string system_error_text(std::string_view operation, std::string_view path, int error) {
  const bool would_wait = error == EAGAIN && operation == "read";
  const auto* const found = would_wait ? &kWouldWait : std::ranges::find(kWordings, error, &Wording::error);
  if (found != kWordings.end())
    return fmt::format("cannot {} {}: {}; {}", operation, path, found->why, found->advice);
  return fmt::format("cannot {} {}: {} (errno {}); try again once, then another way", operation, path,
                     std::generic_category().message(error), error);
}

PathError empty_path_error() {
  return {.error = ENOENT, .text = "the path is empty; name a file or directory"};
}

PathError nul_path_error() {
  return {.error = EINVAL, .text = "the path has a NUL byte in it; no file can have such a name"};
}

PathError outside_error(std::string_view path, std::string_view roots) {
  return {.error = EXDEV,
          .text = fmt::format(
              "cannot open {}: it is outside the directories that file tools may touch ({}); use a path "
              "inside them, or bash",
              path, roots)};
}

PathError directory_name_error(std::string_view path) {
  return {
      .error = EISDIR,
      .text = fmt::format("cannot open {}: its end makes it the name of a directory; leave that out to name "
                          "a file",
                          path)};
}

PathError not_regular_error(std::string_view path, mode_t mode) {
  if (S_ISDIR(mode)) return path_error("open", path, EISDIR);
  std::string_view kind = "a device";
  if (S_ISFIFO(mode)) kind = "a FIFO";
  if (S_ISSOCK(mode)) kind = "a socket";
  return {.error = EINVAL,
          .text = fmt::format(
              "cannot open {}: it is {}, not a regular file; use bash, with a time limit, if that is meant",
              path, kind)};
}

PathError cannot_create_error(std::string_view path, int error) {
  const auto with = [&](std::string_view why) { return PathError{error, only_in_place(path, why)}; };
  if (error == EACCES || error == EPERM)
    return with("no permission to make files in its directory; see ls -ld");
  // The directory is there, or the file could not have been resolved.
  if (error == ENOENT)
    return with(
        "no files can be made in its directory, which was removed or is one like /proc; check the path");
  return path_error("write", path, error);
}

PathError append_only_error(std::string_view path) {
  return {.error = EPERM,
          .text = only_in_place(path,
                                "its directory is append-only, so that files in it can be neither renamed "
                                "nor removed; see lsattr -d")};
}

PathError read_only_error(std::string_view path) {
  return {.error = EROFS,
          .text = fmt::format("cannot write {}: file tools may only read in this directory; write elsewhere",
                              path)};
}

PathError lost_root_error(std::string_view path, std::string_view root, int error) {
  const std::string_view why = error == ENOENT    ? "was removed"
                               : error == ENOTDIR ? "is something else than a directory now"
                                                  : std::string_view();
  if (why.empty()) return path_error("open", root, error);
  return {.error = EBADF,
          .text = fmt::format(
              "cannot open {}: {}, which the file tools work in, {}; make the directory again with bash",
              path, root, why)};
}

PathError path_error(std::string_view operation, std::string_view path, int error) {
  return {.error = error, .text = system_error_text(operation, path, error)};
}

}  // namespace sandbox_worker::tools
