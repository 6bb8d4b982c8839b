#include "worker/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "worker/line_writer.hpp"

namespace sandbox_worker::worker {
namespace {

/// What terminals act on and JSON allows as it is: DEL and the C1 controls, which UTF-8 writes as C2 80 to C2
/// 9F.
std::string escape_controls(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte == 0x7f) {
      escaped += "\\u007f";
    } else if (byte == 0xc2 && next < 0xa0) {
      escaped += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      escaped.push_back(text[i]);
    }
  }
  return escaped;
}

std::string json_text(std::string_view text) {
  return escape_controls(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

/// As it is when it is one plain word; in quotes and escaped otherwise.
std::string text_value(std::string_view value) {
  const bool plain = !value.empty() && std::ranges::all_of(value, [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  return plain ? std::string(value) : json_text(value);
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

/// As --log-level writes it.
std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      break;
  }
  return "error";
}

/// A line after its time.
std::string with_level(LogFormat format, LogLevel level, std::string_view message, LogFields fields) {
  const auto rest = format_line(format, message, fields);
  return format == LogFormat::json ? fmt::format("\"level\":\"{}\",{}", name_of(level), rest)
                                   : fmt::format("{:<5} {}", name_of(level), rest);
}

std::unique_ptr<spdlog::formatter> make_formatter(LogFormat format) {
  const char* pattern =
      format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %v";
  return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc);
}

/// spdlog's own asynchronous logger joins its thread at the end, which a pipe that nobody reads would hold up
/// for ever.
class WriterSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WriterSink(LogFormat format)
      : writer_(STDERR_FILENO, [format, own = std::shared_ptr(make_formatter(format))](std::size_t count) {
          const auto text = with_level(format, LogLevel::warn,
                                       "log lines were lost, nobody read them in time", {{"count", count}});
          spdlog::memory_buf_t line;
          own->format(spdlog::details::log_msg("", spdlog::level::warn, text), line);
          return fmt::to_string(line);
        }) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_.push(fmt::to_string(line));
  }
  void flush_() override { writer_.flush(); }

  LineWriter writer_;
};

}  // namespace

std::string format_line(LogFormat format, std::string_view message, LogFields fields) {
  const bool json = format == LogFormat::json;
  std::string line;
  if (json) {
    line = "\"message\":" + json_text(message);
  } else {
    // Quotes are for values; a message is prose, and only has to stay one line.
    for (const char c : message) line.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
  }
  for (const auto& [key, value] : fields) {
    const auto text = std::visit(
        [&](const auto& v) -> std::string {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string_view>) {
            return json ? json_text(v) : text_value(v);
          } else {
            return fmt::to_string(v);
          }
        },
        value);
    line += json ? fmt::format(",\"{}\":{}", key, text) : fmt::format(" {}={}", key, text);
  }
  return line;
}

struct Log::Sink {
  spdlog::logger logger;
};

Log::Log(LogFormat format, LogLevel level)
    : format_(format),
      sink_(std::make_unique<Sink>(spdlog::logger("sandbox-worker", std::make_shared<WriterSink>(format)))) {
  sink_->logger.set_formatter(make_formatter(format));
  sink_->logger.set_level(spdlog_level(level));
}

Log::~Log() = default;

void Log::flush() const {
  sink_->logger.flush();
}

void Log::write(LogLevel level, std::string_view message, LogFields fields) const {
  if (!sink_->logger.should_log(spdlog_level(level))) return;
  sink_->logger.log(spdlog_level(level), "{}", with_level(format_, level, message, fields));
}

}  // namespace sandbox_worker::worker
