#include "tools/media_content.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cerrno>
#include <utility>

#include "tools/text.hpp"

namespace sandbox_worker::tools {

std::string encode_base64(std::string_view bytes) {
  // EVP_EncodeBlock ends what it writes with a NUL, which the string has room for anyway.
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                    reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return text;
}

std::expected<Content, std::string> media_content(const RegularFile& file, std::string_view path,
                                                  const FileKind& kind, const std::stop_token& stop) {
  const bool image = kind.kind == FileKind::Class::image;
  const auto limit = image ? kMaxImageBytes : kMaxDocumentBytes;
  const auto too_large = [&](unsigned long long size) {
    const auto words = size_and_limit_words(size, limit);
    return std::unexpected(
        fmt::format("{} is {} of {}, over the limit of {}; make it smaller with bash, e.g. {}", path,
                    image ? "an image" : "a PDF", words.size, words.limit,
                    image ? "scale it down" : "take some of its pages or its text"));
  };
  const auto size = static_cast<unsigned long long>(file.info.st_size);
  if (size > limit) return too_large(size);
  auto bytes = read_up_to(file, limit + 1, stop);
  if (!bytes && bytes.error() == ECANCELED) return std::unexpected("interrupted before the file was read");
  if (!bytes) return std::unexpected(system_error_text("read", path, bytes.error()));
  if (bytes->size() > limit) return too_large(bytes->size());
  auto base64 = encode_base64(*bytes);
  if (image) return ImageContent{.media_type = std::string(kind.media_type), .base64 = std::move(base64)};
  return DocumentContent{.media_type = std::string(kind.media_type), .base64 = std::move(base64)};
}

}  // namespace sandbox_worker::tools
