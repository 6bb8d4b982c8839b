#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace sandbox_worker::worker {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { text, json };

/// A value beside a message; views must outlive the call.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

using LogFields = std::initializer_list<LogField>;

/// One line on stderr for each thing that happens. Thread-safe. Callers never give it a secret, nor the
/// content of a call above debug level. Bytes that would break a line are escaped. A reader that is slow or
/// gone holds up nobody: lines wait in a bounded queue, and those that had to go are counted.
class Log {
 public:
  Log(LogFormat format, LogLevel level);
  /// As flush().
  ~Log();

  void debug(std::string_view message, LogFields fields = {}) const {
    write(LogLevel::debug, message, fields);
  }
  void info(std::string_view message, LogFields fields = {}) const { write(LogLevel::info, message, fields); }
  void warn(std::string_view message, LogFields fields = {}) const { write(LogLevel::warn, message, fields); }
  void error(std::string_view message, LogFields fields = {}) const {
    write(LogLevel::error, message, fields);
  }

  /// Waits until what was said is written, half a second at most: before an exit that runs no destructors.
  void flush() const;

 private:
  void write(LogLevel level, std::string_view message, LogFields fields) const;

  struct Sink;
  const LogFormat format_;
  std::unique_ptr<Sink> sink_;
};

/// The part of a line after time and level.
std::string format_line(LogFormat format, std::string_view message, LogFields fields);

}  // namespace sandbox_worker::worker
