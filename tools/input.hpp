#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// Reads the fields of one call's input. Every field that is missing or of the wrong type is noted and reads
/// as empty; after the last one ask failed(). Unknown fields are ignored, an optional field may be null.
///
///   Input in("write", std::move(json));
///   auto path = in.required_string("file_path");
///   if (in.failed()) return in.error();  // "write: file_path is missing (a string is needed)"
class Input {
 public:
  Input(std::string_view tool, nlohmann::json input);

  std::string required_string(std::string_view field);
  std::optional<std::string> optional_string(std::string_view field);
  std::optional<bool> optional_bool(std::string_view field);
  /// Whole numbers, also written as 3.0; what doesn't fit is cut to the nearest that does.
  std::optional<std::int64_t> optional_integer(std::string_view field);

  /// Two whole numbers, e.g. [1, 20]; null and [] are none.
  struct Pair {
    std::int64_t first;
    std::int64_t second;
  };
  std::optional<Pair> optional_integer_pair(std::string_view field);

  /// Notes a problem of its own, e.g. a number out of range: "timeout_ms must be above 0".
  void complain(std::string_view problem);

  bool failed() const noexcept { return !problems_.empty(); }
  /// All problems in one sentence.
  ToolResult error() const;

 private:
  nlohmann::json* find(std::string_view field);
  void wrong_type(std::string_view field, std::string_view needed, const nlohmann::json& found);

  std::string tool_;
  nlohmann::json input_;
  std::string problems_;
};

}  // namespace sandbox_worker::tools
