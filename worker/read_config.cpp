#include "worker/read_config.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "worker/client/proxy.hpp"
#include "worker/client/trust.hpp"
#include "worker/credentials.hpp"
#include "worker/custom_headers.hpp"
#include "worker/duration.hpp"
#include "worker/env_file.hpp"
#include "worker/settings.hpp"

namespace sandbox_worker::worker {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::string_view kDurationForm = "a time such as 500ms, 60s or 5m (0: no limit)";

std::optional<milliseconds> duration_in(std::string_view text, Form form) {
  switch (form) {
    case Form::as_ours:
      return parse_duration(text);
    case Form::milliseconds:
      return parse_duration(text, 1ms);
    case Form::seconds_or_off:
      if (text.empty() || text == "none" || text == "null") return 0ms;
      return parse_duration(text, 1s);
    default:
      return parse_duration(text, 1s);
  }
}

std::optional<LogLevel> log_level_in(std::string_view text, Form form) {
  if (form == Form::debug_switch) {
    return text == "1"   ? std::optional(LogLevel::debug)
           : text == "0" ? std::optional(LogLevel::info)
                         : std::nullopt;
  }
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "debug" || lower == "trace") return LogLevel::debug;
  if (lower == "info") return LogLevel::info;
  if (lower == "warn" || lower == "warning") return LogLevel::warn;
  if (lower == "error" || lower == "fatal" || lower == "critical") return LogLevel::error;
  return std::nullopt;
}

std::optional<std::size_t> size_in(std::string_view text, Form) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

/// A flag without a value is on.
std::optional<bool> switch_in(std::string_view text, Form) {
  if (text.empty() || text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return std::nullopt;
}

std::optional<std::string> text_in(std::string_view text, Form) {
  return text.empty() ? std::nullopt : std::optional(std::string(text));
}

/// Of a directory in the workdir, and not one outside.
std::optional<std::string> directory_name_in(std::string_view text, Form) {
  const bool is_name = !text.empty() && text != "." && text != ".." && !text.contains('/');
  return is_name ? std::optional(std::string(text)) : std::nullopt;
}

/// The last name in `path`, also when slashes follow it; empty: there is none.
std::string last_name(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

/// What another program's variable names may be no directory; whether one that we are to use can be used, or
/// made, shows when it is opened.
std::optional<std::string> directory_in(std::string_view text, Form form) {
  std::optional<std::string> path = text_in(text, form);
  if (form != Form::directory || !path) return path;
  struct stat info{};
  if (::stat(path->c_str(), &info) == 0) return S_ISDIR(info.st_mode) ? path : std::nullopt;
  return errno == ENOENT || errno == EACCES ? path : std::nullopt;
}

/// Ids go into URLs, file names and log lines; the service's have only these.
bool is_id(std::string_view text) {
  return text.size() <= 256 && !text.starts_with('.') && std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) || c == '_' || c == '-' || c == '.';
         });
}

/// The message repeats no value: what stands there by mistake may be a secret.
std::string id_in(const Settings& settings, std::string_view flag) {
  auto value = settings.text(flag);
  if (value.empty()) throw UsageError{Settings::name_of(flag) + " is not set"};
  if (value.starts_with("sk-")) Settings::refuse_key(Settings::name_of(flag));
  if (!is_id(value)) throw UsageError{Settings::name_of(flag) + ": not an id (letters, digits, _ - .)"};
  return value;
}

/// A variable that has two spellings; the one in capitals counts first, an empty one as absent.
struct EitherCase {
  std::string name;
  std::string value;

  EitherCase(const Settings& settings, std::string capitals) : name(std::move(capitals)) {
    value = settings.variable(name);
    if (!value.empty()) return;
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    value = settings.variable(name);
  }
};

void read_proxies(const Settings& settings, Config& config) {
  HttpOptions& http = config.http;
  const EitherCase https(settings, "HTTPS_PROXY");
  const EitherCase plain(settings, "HTTP_PROXY");
  http.https_proxy = https.value;
  http.http_proxy = plain.value;
  http.no_proxy = EitherCase(settings, "NO_PROXY").value;
  // The others may be meant for other programs.
  const EitherCase& used = config.base_url.tls ? https : plain;
  const auto proxy = choose_proxy(config.base_url, http);
  if (!proxy) throw UsageError{fmt::format("{}: the proxy {}", used.name, proxy.error())};
  if (*proxy && holds_key((*proxy)->host)) Settings::refuse_key(used.name);
}

/// The flag's file must be usable.
void read_certificates(Settings& settings, Config& config) {
  HttpOptions& http = config.http;
  http.ca_dir = settings.variable("SSL_CERT_DIR");
  http.ca_file = settings.text("--ca-file");
  if (!http.ca_file.empty()) {
    if (const auto usable = check_ca_file(http.ca_file); !usable) {
      throw UsageError{
          fmt::format("{}: {}: {}", Settings::name_of("--ca-file"), http.ca_file, usable.error())};
    }
    config.command_ca_file = std::filesystem::absolute(http.ca_file).lexically_normal().string();
  }
}

/// SSL_CERT_FILE may be meant for other programs, and OpenSSL itself passes by one that isn't there. Looking
/// at it takes milliseconds and megabytes, so that is left where no TLS is spoken.
void read_certificate_variable(Settings& settings, Config& config) {
  const auto file = settings.variable("SSL_CERT_FILE");
  if (file.empty() || !config.http.ca_file.empty() || !config.base_url.tls) return;
  if (const auto usable = check_ca_file(file); usable) {
    config.http.ca_file = file;
  } else {
    settings.warn(fmt::format("SSL_CERT_FILE: {}: {}; ignored", shown(file), usable.error()));
  }
}

void read_network(Settings& settings, Config& config) {
  const auto duration = [&](std::string_view flag, milliseconds fallback) {
    return settings.value(flag, fallback, kDurationForm, duration_in);
  };
  HttpOptions& http = config.http;
  http.connect_timeout = duration("--connect-timeout", http.connect_timeout);
  http.tls_timeout = duration("--tls-timeout", http.tls_timeout);
  http.write_timeout = duration("--write-timeout", http.write_timeout);
  http.response_timeout = duration("--response-timeout", http.response_timeout);
  config.stream_silence = duration("--stream-silence", config.stream_silence);
  read_certificates(settings, config);
  http.headers = custom_headers(settings.variable("ANTHROPIC_CUSTOM_HEADERS"), config.warnings);
}

void read_tools(Settings& settings, Config& config) {
  const auto duration = [&](std::string_view flag, milliseconds fallback) {
    return settings.value(flag, fallback, kDurationForm, duration_in);
  };
  const auto size = [&](std::string_view flag, std::size_t fallback) {
    return settings.value(flag, fallback, "a number of bytes above 0", size_in);
  };
  const auto text = [&](std::string_view flag, std::string fallback) {
    return settings.value(flag, std::move(fallback), "a path", text_in);
  };
  auto workdir = settings.find("--workdir", config.workdir, "a directory", directory_in);
  config.workdir = std::move(workdir.value);
  config.workdir_name = std::move(workdir.name);
  config.allow_roots = settings.list("--allow-root");
  config.runtime_dir = settings.text("--runtime-dir");
  config.spill_dir = settings.text("--spill-dir");
  config.private_files = settings.value("--private-files", false, "0 or 1", switch_in);
  if (const auto file = settings.text("--env-file"); !file.empty()) {
    auto read = read_env_file(file);
    if (!read) throw UsageError{"SANDBOX_WORKER_ENV_FILE (--env-file): " + read.error()};
    config.command_environment = std::move(*read);
  }
  config.repo_source = text("--repo-image-path", "");
  config.repo_name = settings.value("--repo-workdir-name", last_name(config.repo_source),
                                    "the name of a directory, without a slash", directory_name_in);
  config.max_idle = duration("--max-idle", config.max_idle);
  config.max_run = duration("--max-run", config.max_run);
  config.shell_scope = settings.value("--shell-scope", config.shell_scope, "thread or session",
                                      [](std::string_view scope, Form) -> std::optional<ShellScope> {
                                        if (scope == "thread") return ShellScope::thread;
                                        if (scope == "session") return ShellScope::session;
                                        return std::nullopt;
                                      });
  tools::Limits& limits = config.limits;
  limits.default_tool_timeout = duration("--tool-timeout", limits.default_tool_timeout);
  limits.max_tool_timeout = duration("--max-tool-timeout", limits.max_tool_timeout);
  limits.search_timeout = duration("--search-timeout", limits.search_timeout);
  limits.max_read_bytes = size("--max-read-bytes", limits.max_read_bytes);
  limits.max_edit_bytes = size("--max-edit-bytes", limits.max_edit_bytes);
}

void read_log(Settings& settings, Config& config) {
  config.log_format = settings.value("--log-format", config.log_format, "text or json",
                                     [](std::string_view text, Form) -> std::optional<LogFormat> {
                                       if (text == "text") return LogFormat::text;
                                       if (text == "json") return LogFormat::json;
                                       return std::nullopt;
                                     });
  config.log_level =
      settings.value("--log-level", config.log_level, "debug, info, warn or error", log_level_in);
}

void read_session(Settings& settings, Config& config) {
  if (settings.text("--session-id").empty() && settings.text("--work-id").empty()) {
    throw UsageError{
        "ANTHROPIC_SESSION_ID (--session-id) and ANTHROPIC_WORK_ID (--work-id) are not set: one claimed work "
        "item is needed, polling the queue isn't there yet"};
  }
  config.session_id = id_in(settings, "--session-id");
  config.work_id = id_in(settings, "--work-id");
  config.environment_id = id_in(settings, "--environment-id");
  if (auto last = settings.text("--last-heartbeat"); !last.empty()) config.last_heartbeat = std::move(last);

  CredentialSources sources;
  // Flags win, and each is looked at before its variable.
  const bool file_wins =
      settings.has_flag("--environment-key-file") && !settings.has_flag("--environment-key");
  if (!file_wins) sources.key = settings.text("--environment-key");
  sources.key_file = settings.text("--environment-key-file");
  sources.secret = settings.variable("ANTHROPIC_WORK_SECRET");
  sources.secret_file = settings.text("--work-secret-file");
  auto credentials = load_credentials(sources);
  if (!credentials) throw UsageError{credentials.error()};
  config.token = std::move(credentials->token);
  std::ranges::move(credentials->warnings, std::back_inserter(config.warnings));
  if (settings.has_flag("--environment-key")) {
    config.warnings.emplace_back(
        "the key was given on the command line, where every process can read it: use "
        "ANTHROPIC_ENVIRONMENT_KEY or --environment-key-file");
  }

  std::string url = settings.text("--base-url");
  std::string from = Settings::name_of("--base-url");
  if (url.empty()) {
    url = credentials->api_base_url;
    from = "api_base_url in " + credentials->secret_name;
  }
  if (url.empty()) url = "https://api.anthropic.com";
  auto base = BaseUrl::parse(url);
  if (!base) throw UsageError{fmt::format("{}: {}", from, base.error())};
  config.base_url = std::move(*base);
  read_proxies(settings, config);
}

void warn_of_api_keys(const Settings& settings, Config& config) {
  for (const std::string_view name : {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}) {
    if (!settings.variable(name).empty()) {
      config.warnings.push_back(fmt::format("{} is ignored, and should not be in a sandbox", name));
    }
  }
}

}  // namespace

Config read_config(Settings& settings, bool with_session) {
  Config config;
  read_log(settings, config);
  read_tools(settings, config);
  read_network(settings, config);
  if (with_session) {
    read_session(settings, config);
    read_certificate_variable(settings, config);
    warn_of_api_keys(settings, config);
  }
  if (settings.has_flag("--unrestricted-paths")) {
    config.warnings.emplace_back(
        "--unrestricted-paths does nothing: name further directories with --allow-root");
  }
  std::ranges::move(settings.take_warnings(), std::back_inserter(config.warnings));
  return config;
}

}  // namespace sandbox_worker::worker
