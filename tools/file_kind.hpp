#pragma once

#include <cstddef>
#include <string_view>

namespace sandbox_worker::tools {

/// Bytes at the front of a file by which its kind is told.
inline constexpr std::size_t kSniffBytes = 8 * 1024;

/// Those at its end.
inline constexpr std::size_t kSniffTailBytes = 1024;

/// What a file is by its content; its name doesn't count.
struct FileKind {
  enum class Class { text, image, document, binary };
  Class kind = Class::text;
  std::string_view media_type = {};   // of images and documents
  std::string_view description = {};  // of binary files, with its article: "an ELF program or library"
  std::string_view advice = {};       // how else to see one
};

/// By the first kSniffBytes and the last kSniffTailBytes, as far as there are so many.
FileKind kind_of(std::string_view head, std::string_view tail);

}  // namespace sandbox_worker::tools
