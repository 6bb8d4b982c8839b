#include "tools/file_kind.hpp"

#include <array>

namespace sandbox_worker::tools {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  std::string_view description;
  std::string_view advice = "use bash to look into it, e.g. file, strings or xxd";
};

constexpr std::string_view kFromUtf16 = "convert it with bash: iconv -f UTF-16 -t UTF-8";
constexpr std::string_view kFromUtf32 = "convert it with bash: iconv -f UTF-32 -t UTF-8";
constexpr std::string_view kToPng = "convert it to PNG to see it";

constexpr std::array kBinarySignatures = {
    Signature{"\x7F"
              "ELF"sv,
              "an ELF program or library"},
    Signature{"PK\x03\x04"sv, "a ZIP archive (or a format built on it)"},
    Signature{"PK\x05\x06"sv, "an empty ZIP archive"},
    Signature{"%PDF-"sv, "a PDF without its end"},
    Signature{"\x1F\x8B"sv, "gzip data"},
    Signature{"BZh"sv, "bzip2 data"},
    Signature{"\xFD"
              "7zXZ\0"sv,
              "xz data"},
    Signature{"\x28\xB5\x2F\xFD"sv, "Zstandard data"},
    Signature{"7z\xBC\xAF\x27\x1C"sv, "a 7-Zip archive"},
    Signature{"SQLite format 3\0"sv, "an SQLite database"},
    Signature{"\0asm"sv, "a WebAssembly module"},
    Signature{"\xCA\xFE\xBA\xBE"sv, "a Java class or Mach-O file"},
    Signature{"\xCF\xFA\xED\xFE"sv, "a Mach-O file"},
    Signature{"MZ"sv, "a Windows program"},
    Signature{"!<arch>\n"sv, "a static library or Debian package"},
    Signature{"OggS"sv, "Ogg media"},
    Signature{"ID3"sv, "MP3 audio"},
    Signature{"fLaC"sv, "FLAC audio"},
    Signature{"RIFF"sv, "RIFF media (WAV, AVI)"},
    Signature{"BM"sv, "a BMP image", kToPng},
    Signature{"II*\0"sv, "a TIFF image", kToPng},
    Signature{"MM\0*"sv, "a TIFF image", kToPng},
    Signature{"\xFF\xFE\0\0"sv, "UTF-32 text", kFromUtf32},
    Signature{"\0\0\xFE\xFF"sv, "UTF-32 text", kFromUtf32},
    Signature{"\xFF\xFE"sv, "UTF-16 text", kFromUtf16},
    Signature{"\xFE\xFF"sv, "UTF-16 text", kFromUtf16},
};

std::string_view image_type(std::string_view head) {
  if (head.starts_with("\x89PNG\r\n\x1A\n") && head.size() >= 16 && head.substr(12, 4) == "IHDR")
    return "image/png";
  if (head.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  // The aspect ratio after the sizes is 0 in practice; a text may begin with the six letters.
  if ((head.starts_with("GIF87a") || head.starts_with("GIF89a")) && head.size() >= 13 && head[12] == '\0')
    return "image/gif";
  if (head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP") return "image/webp";
  return {};
}

/// A text may begin so as well; viewers look for the mark of the end just there.
bool is_pdf(std::string_view head, std::string_view tail) {
  const auto is_digit = [&](std::size_t at) { return head[at] >= '0' && head[at] <= '9'; };
  return head.starts_with("%PDF-") && head.size() >= 8 && is_digit(5) && head[6] == '.' && is_digit(7) &&
         tail.contains("%%EOF");
}

FileKind binary(const Signature& signature) {
  return {.kind = FileKind::Class::binary, .description = signature.description, .advice = signature.advice};
}

FileKind binary_kind(std::string_view head) {
  for (const auto& signature : kBinarySignatures)
    if (head.starts_with(signature.bytes)) return binary(signature);
  if (head.size() >= 262 && head.substr(257, 5) == "ustar") return binary({"", "a tar archive"});
  if (head.size() >= 12 && head.substr(4, 4) == "ftyp") return binary({"", "MP4 media"});
  return binary({"", "data with NUL bytes"});
}

}  // namespace

FileKind kind_of(std::string_view head, std::string_view tail) {
  if (const auto type = image_type(head); !type.empty())
    return {.kind = FileKind::Class::image, .media_type = type};
  if (is_pdf(head, tail)) return {.kind = FileKind::Class::document, .media_type = "application/pdf"};
  // Short signatures such as "MZ" begin words too: only a NUL byte tells data from text. Compressed data may
  // have none at first, but its signature is no text.
  const bool compressed = head.starts_with("\x1F\x8B") ||
                          head.starts_with(
                              "\xFD"
                              "7zXZ") ||
                          head.starts_with("\x28\xB5\x2F\xFD");
  if (compressed || head.find('\0') != std::string_view::npos) return binary_kind(head);
  return {};
}

}  // namespace sandbox_worker::tools
