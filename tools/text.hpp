#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// Bytes made fit to be shown: valid UTF-8 without NUL.
struct ShownText {
  std::string text;
  std::size_t replaced = 0;  // byte sequences that were no UTF-8 and are U+FFFD now
  std::size_t nuls = 0;      // NUL bytes, now U+2400
};

ShownText show_text(std::string bytes);

/// "1 byte", "3 bytes", "12.5 KiB", "3.4 MiB".
std::string size_words(unsigned long long bytes);

/// Both in these words, or in bytes where they would look the same.
struct SizeAndLimit {
  std::string size;
  std::string limit;
};
SizeAndLimit size_and_limit_words(unsigned long long size, unsigned long long limit);

/// "1 line", "3 lines"; adds an s to `noun` unless `count` is 1.
std::string count_words(unsigned long long count, std::string_view noun);

/// At most `limit` bytes of valid UTF-8, cut between characters, with "…" for the rest.
std::string shorten(std::string_view text, std::size_t limit);

/// One line of a file as an answer shows it: without its line end, at most `limit` bytes, of a longer line
/// those around the byte `focus`.
std::string show_line(std::string_view line, std::size_t limit, std::size_t focus = 0);

/// "30 s" or "1500 ms".
std::string time_words(std::chrono::milliseconds time);

}  // namespace sandbox_worker::tools
