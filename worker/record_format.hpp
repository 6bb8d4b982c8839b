#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sandbox_worker::worker {

// Files that outlive the process which writes them: records one after the other, each with its length and a
// checksum, so that a last one that was cut is known for what it is. Pure.

struct Record {
  std::uint8_t type = 0;
  std::string_view payload;
};

/// Adds a record to `bytes`, which are to stand at `offset` of the file. The checksum covers the place: what
/// an earlier, longer content left behind the end is no record of this one.
void append_record(std::string& bytes, std::uint64_t offset, std::uint8_t type, std::string_view payload);

/// The records of a whole file, up to its end or to the first one that isn't whole. Views into `file`.
class RecordReader {
 public:
  explicit RecordReader(std::string_view file) : file_(file) {}

  std::optional<Record> next();
  /// Bytes that are not part of a whole record.
  std::size_t rest() const { return file_.size() - offset_; }

 private:
  std::string_view file_;
  std::size_t offset_ = 0;
};

/// Numbers and texts of one payload.
class FieldWriter {
 public:
  FieldWriter& number(std::uint64_t value);
  FieldWriter& text(std::string_view value);
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// The same, read back; once something is missing every field is empty, and complete() is false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view payload) : rest_(payload) {}

  std::uint64_t number();
  std::string_view text();
  /// Nothing was missing and nothing is left.
  bool complete() const { return !failed_ && rest_.empty(); }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace sandbox_worker::worker
