#pragma once

#include <string>
#include <string_view>

#include "tools/file_searcher.hpp"

namespace sandbox_worker::tools {

/// Characters of a line that are shown; of longer ones, the part around the match.
inline constexpr std::size_t kMaxShownLine = 2000;

/// Appends `text` with what isn't valid UTF-8 replaced by U+FFFD.
void append_valid_utf8(std::string& out, std::string_view text);

/// `path` as a result shows it, in valid UTF-8: one with control characters, such as a newline, or with bytes
/// that aren't UTF-8, in the quotes of bash ($'…'), so that it can't be taken for two, and bash can use it.
std::string shown_path(std::string path);

/// Appends "path:line:text\n" for each line of a hit, the path as shown_path gives it; gives their number.
/// Carriage returns at the ends are left out.
std::size_t append_match(std::string& out, std::string_view path, const FileHit& hit);

}  // namespace sandbox_worker::tools
