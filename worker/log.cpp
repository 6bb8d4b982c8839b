#include "worker/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sandbox_worker::worker {
namespace {

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
      sink_(std::make_unique<Sink>(
          spdlog::logger("sandbox-worker", std::make_shared<spdlog::sinks::stderr_sink_mt>()))) {
  const char* pattern = format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                                  : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v";
  sink_->logger.set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  sink_->logger.set_level(spdlog_level(level));
  sink_->logger.flush_on(spdlog::level::debug);
}

Log::~Log() = default;

void Log::write(LogLevel level, std::string_view message, LogFields fields) const {
  if (!sink_->logger.should_log(spdlog_level(level))) return;
  sink_->logger.log(spdlog_level(level), "{}", format_line(format_, message, fields));
}

}  // namespace sandbox_worker::worker
