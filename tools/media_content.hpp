#pragma once

#include <expected>
#include <stop_token>
#include <string>
#include <string_view>

#include "tools/file_kind.hpp"
#include "tools/regular_file.hpp"
#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// The service refuses larger ones: an image's base64 may have 5 MiB, a PDF 20 MiB.
inline constexpr std::size_t kMaxImageBytes = std::size_t{5} * 1024 * 1024 / 4 * 3;
inline constexpr std::size_t kMaxDocumentBytes = std::size_t{20} * 1024 * 1024;

/// An image or PDF as the block that shows it; `path` is the agent's, for messages.
std::expected<Content, std::string> media_content(const RegularFile& file, std::string_view path,
                                                  const FileKind& kind, const std::stop_token& stop);

std::string encode_base64(std::string_view bytes);

}  // namespace sandbox_worker::tools
