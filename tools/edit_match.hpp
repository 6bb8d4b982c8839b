#pragma once

#include <cstddef>
#include <expected>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox_worker::tools {

struct Replacement {
  std::string_view old_string;
  std::string_view new_string;
  bool replace_all = false;
};

struct EditedText {
  std::string content;
  std::size_t count = 0;            // of places that were replaced
  std::vector<std::size_t> starts;  // where the new text is in `content`, ascending; of the first places only
  std::size_t length = 0;           // of the new text
  bool found_crlf = false;          // where the old text has LF
  bool wrote_crlf = false;          // where the new text has LF
};

/// `content` with one occurrence replaced, or all. Works on bytes; what is elsewhere stays as it is. The
/// error is the end of a sentence that begins with the file's name: "old_string was found 3 times ...". Asked
/// to stop, it ends soon, and what it gives then means nothing.
std::expected<EditedText, std::string> edit_text(std::string_view content, const Replacement& replacement,
                                                 std::size_t max_bytes, const std::stop_token& stop);

/// The changed lines with two lines around each, numbered, for the answer; long changes are shortened.
std::string show_changes(const EditedText& edited);

}  // namespace sandbox_worker::tools
