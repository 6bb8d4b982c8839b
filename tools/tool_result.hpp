#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sandbox_worker::tools {

/// UTF-8; an empty text becomes "(no output)" before it is posted.
struct TextContent {
  std::string text;
};

struct ImageContent {
  std::string media_type;  // image/png, image/jpeg, image/gif or image/webp
  std::string base64;
};

struct DocumentContent {
  std::string media_type;  // application/pdf
  std::string base64;
};

using Content = std::variant<TextContent, ImageContent, DocumentContent>;

/// The answer to one call. A tool that fails gives one as well: nothing a tool meets is an exception.
struct ToolResult {
  std::vector<Content> content;
  bool is_error = false;

  static ToolResult text(std::string text) { return make(std::move(text), false); }
  static ToolResult error(std::string text) { return make(std::move(text), true); }

 private:
  static ToolResult make(std::string text, bool is_error) {
    ToolResult result;
    result.content.emplace_back(TextContent{std::move(text)});
    result.is_error = is_error;
    return result;
  }
};

}  // namespace sandbox_worker::tools
