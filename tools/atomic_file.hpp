#pragma once

#include <sys/stat.h>

#include <expected>
#include <stop_token>
#include <string>
#include <string_view>

#include "tools/path_resolver.hpp"
#include "tools/regular_file.hpp"
#include "tools/system_error.hpp"

namespace sandbox_worker::tools {

/// What couldn't be kept of the file that was replaced.
struct ReplacedFile {
  bool owner_lost = false;
  nlink_t other_links = 0;  // names that still have the old content
};

struct NewContent {
  std::string_view bytes;
  mode_t new_file_mode = 0666;       // less the umask; only when nothing is there yet
  const RegularFile* old = nullptr;  // what is there, as it was when it was opened
  bool based_on_old = false;         // a change of the old one since then must not be lost: it is an error
};

/// Puts a file with `content` at `place` in one step: whoever looks sees the old file or the new one, whole.
/// Mode, owner and extended attributes of the old one are kept as far as we may. When anything fails, or
/// `stop` is asked, nothing has changed and no temporary file is left. `path` is the agent's, for messages.
std::expected<ReplacedFile, PathError> replace_file(const ResolvedPath& place, std::string_view path,
                                                    const NewContent& content, const std::stop_token& stop);

/// What an answer adds when something of the old file wasn't kept; empty when all was.
std::string replaced_notes(const ReplacedFile& replaced);

}  // namespace sandbox_worker::tools
