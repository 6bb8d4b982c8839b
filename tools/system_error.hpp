#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// A path that can't be used. `text` is for the model: what, which path as given, why, what to do; a tool
/// puts its own name before it ("read: " + text). `error` is the errno behind it, for callers that act on its
/// kind; EXDEV means outside the roots.
struct PathError {
  int error = 0;
  std::string text;
};

/// "cannot {operation} {path}: {why}; {what to do}". The wording of every error of the system, in all tools.
std::string system_error_text(std::string_view operation, std::string_view path, int error);

PathError path_error(std::string_view operation, std::string_view path, int error);

/// Errors of ours that have no errno of their own.
PathError empty_path_error();
PathError nul_path_error();
PathError outside_error(std::string_view path, std::string_view roots);
PathError directory_name_error(std::string_view path);
PathError read_only_error(std::string_view path);
/// What kind of thing that is no regular file is at `path`.
PathError not_regular_error(std::string_view path, mode_t mode);
/// A file at `path` can't be replaced, since none can be made beside it.
PathError cannot_create_error(std::string_view path, int error);
/// The same where one can be made, but neither renamed nor removed.
PathError append_only_error(std::string_view path);
/// The root that `path` leads to was removed (ENOENT), or replaced by something else (ENOTDIR), or can't be
/// opened. That is no ENOENT of `path`, which callers take for an answer.
PathError lost_root_error(std::string_view path, std::string_view root, int error);

}  // namespace sandbox_worker::tools
