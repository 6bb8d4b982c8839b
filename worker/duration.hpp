#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sandbox_worker::worker {

/// `500ms`, `60s`, `5m`, `2h`, `0`; nothing for anything else. Names that other programs set also have bare
/// numbers, in `bare_unit` (0: refused).
std::optional<std::chrono::milliseconds> parse_duration(
    std::string_view text, std::chrono::milliseconds bare_unit = std::chrono::milliseconds(0));

}  // namespace sandbox_worker::worker
