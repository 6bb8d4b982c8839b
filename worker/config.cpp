#include "worker/config.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "worker/client/error_text.hpp"
#include "worker/credentials.hpp"
#include "worker/duration.hpp"
#include "worker/env_file.hpp"
#include "worker/option_table.hpp"

namespace sandbox_worker::worker {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// A sentence for the operator that names the variable and the flag.
struct UsageError {
  std::string text;
};

/// The values that flags, variables and foreign names give, before they are understood.
class Settings {
 public:
  Settings(std::map<std::string, std::vector<std::string>, std::less<>> flags, const Environment& environment)
      : flags_(std::move(flags)), environment_(environment) {}

  /// The flag's value, else the variable's; an empty variable counts as absent.
  std::string text(std::string_view flag) const {
    if (const auto found = flags_.find(flag); found != flags_.end()) return found->second.back();
    return variable(option(flag).variable);
  }
  std::vector<std::string> list(std::string_view flag) const {
    if (const auto found = flags_.find(flag); found != flags_.end()) return found->second;
    std::vector<std::string> values;
    const std::string joined = variable(option(flag).variable);
    for (std::size_t begin = 0; begin < joined.size();) {
      const auto end = std::min(joined.find(':', begin), joined.size());
      if (end > begin) values.push_back(joined.substr(begin, end - begin));
      begin = end + 1;
    }
    return values;
  }
  bool has_flag(std::string_view flag) const { return flags_.contains(flag); }
  std::string variable(std::string_view name) const {
    const auto found = environment_.find(name);
    return found == environment_.end() ? std::string() : found->second;
  }

  /// `understand(text, form)` gives nothing for a malformed value: an error in a name of ours, a warning in
  /// another's.
  template <class T, class Understand>
  T value(std::string_view flag, T fallback, std::string_view expected, Understand understand) {
    const Option& entry = option(flag);
    if (const auto own = text(flag); !own.empty() || has_flag(flag)) {
      if (const std::optional<T> found = understand(own, Form::as_ours)) return *found;
      throw UsageError{
          fmt::format("{} ({}): '{}' is not {}", entry.variable, entry.flag, one_line(own), expected)};
    }
    for (const ForeignName& name : entry.foreign) {
      const auto found = environment_.find(name.name);
      if (found == environment_.end() || (found->second.empty() && name.form != Form::seconds_or_off))
        continue;
      if (const std::optional<T> understood = understand(found->second, name.form)) return *understood;
      warnings_.push_back(
          fmt::format("{}='{}' is not {}; ignored", name.name, one_line(found->second), expected));
    }
    return fallback;
  }

  std::vector<std::string> take_warnings() { return std::move(warnings_); }

  static const Option& option(std::string_view flag) {
    return *std::ranges::find(option_table(), flag, &Option::flag);
  }

 private:
  const std::map<std::string, std::vector<std::string>, std::less<>> flags_;
  const Environment& environment_;
  std::vector<std::string> warnings_;
};

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

/// Ids go into URLs and log lines; the service's have only these.
std::optional<std::string> id_in(std::string_view text, Form) {
  const bool plain = !text.empty() && text.size() <= 256 && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  });
  return plain ? std::optional(std::string(text)) : std::nullopt;
}

/// ANTHROPIC_CUSTOM_HEADERS: one `Name: value` a line. What would break the request, or replace what the
/// protocol needs, is left out with a warning.
Headers custom_headers(std::string_view text, std::vector<std::string>& warnings) {
  Headers headers;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto colon = line.find(':');
    std::string name(line.substr(0, colon));
    std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
    const bool is_token = !name.empty() && std::ranges::all_of(name, [&](unsigned char c) {
      return std::isalnum(c) || kTokenMarks.contains(static_cast<char>(c));
    });
    const bool is_value = std::ranges::all_of(value, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
    constexpr std::string_view kReserved[] = {
        "host",         "content-length", "transfer-encoding", "connection",     "authorization",
        "content-type", "accept",         "x-api-key",         "anthropic-beta", "anthropic-version"};
    if (colon == std::string_view::npos || !is_token || !is_value) {
      warnings.emplace_back("ANTHROPIC_CUSTOM_HEADERS: a line that is not 'Name: value' is ignored");
    } else if (std::ranges::find(kReserved, name) != std::end(kReserved)) {
      warnings.push_back(fmt::format("ANTHROPIC_CUSTOM_HEADERS: {} is the worker's own; ignored", name));
    } else {
      headers.emplace_back(std::move(name), std::string(value));
    }
  }
  return headers;
}

std::string either_case(const Settings& settings, std::string name) {
  auto value = settings.variable(name);
  if (!value.empty()) return value;
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return settings.variable(name);
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
  http.https_proxy = either_case(settings, "HTTPS_PROXY");
  http.http_proxy = either_case(settings, "HTTP_PROXY");
  http.no_proxy = either_case(settings, "NO_PROXY");
  http.ca_file = settings.text("--ca-file");
  if (http.ca_file.empty()) http.ca_file = settings.variable("SSL_CERT_FILE");
  http.ca_dir = settings.variable("SSL_CERT_DIR");
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
  config.workdir = text("--workdir", config.workdir);
  config.allow_roots = settings.list("--allow-root");
  config.runtime_dir = settings.text("--runtime-dir");
  config.spill_dir = settings.text("--spill-dir");
  config.private_files = settings.value("--private-files", false, "0 or 1", switch_in);
  if (const auto file = settings.text("--env-file"); !file.empty()) {
    auto read = read_env_file(file);
    if (!read) throw UsageError{"SANDBOX_WORKER_ENV_FILE (--env-file): " + read.error()};
    config.command_environment = std::move(*read);
  }
  if (const auto file = settings.text("--ca-file"); !file.empty())
    config.command_ca_file = std::filesystem::absolute(file).lexically_normal().string();
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
        "item is "
        "needed, polling the queue isn't there yet"};
  }
  const auto id = [&](std::string_view flag) {
    auto value = settings.value(flag, std::string(), "an id (letters, digits, _ - .)", id_in);
    if (value.empty())
      throw UsageError{fmt::format("{} ({}) is not set", Settings::option(flag).variable, flag)};
    return value;
  };
  config.session_id = id("--session-id");
  config.work_id = id("--work-id");
  config.environment_id = id("--environment-id");
  if (auto last = settings.text("--last-heartbeat"); !last.empty()) config.last_heartbeat = std::move(last);

  CredentialSources sources;
  sources.key = settings.text("--environment-key");
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
        "ANTHROPIC_ENVIRONMENT_KEY or "
        "--environment-key-file");
  }

  std::string url = settings.text("--base-url");
  std::string_view from = "ANTHROPIC_BASE_URL (--base-url)";
  if (url.empty()) {
    url = credentials->api_base_url;
    from = "api_base_url in ANTHROPIC_WORK_SECRET";
  }
  if (url.empty()) url = "https://api.anthropic.com";
  auto base = BaseUrl::parse(url);
  if (!base) throw UsageError{fmt::format("{}: {}", from, base.error())};
  config.base_url = std::move(*base);
}

void warn_of_api_keys(const Settings& settings, Config& config) {
  for (const std::string_view name : {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}) {
    if (!settings.variable(name).empty()) {
      config.warnings.push_back(fmt::format("{} is ignored, and should not be in a sandbox", name));
    }
  }
}

Config read_config(Settings& settings, bool with_session) {
  Config config;
  read_log(settings, config);
  read_tools(settings, config);
  read_network(settings, config);
  if (with_session) {
    read_session(settings, config);
    warn_of_api_keys(settings, config);
  }
  if (settings.has_flag("--unrestricted-paths")) {
    config.warnings.emplace_back(
        "--unrestricted-paths does nothing: name further directories with --allow-root");
  }
  std::ranges::move(settings.take_warnings(), std::back_inserter(config.warnings));
  return config;
}

constexpr std::string_view kDescription =
    "The hands of an agent: attaches to a session's event stream, runs each tool call\n"
    "(bash, read, write, edit, glob, grep) in the workdir, posts the results, and renews\n"
    "the lease of the work item until the session is over.\n\n"
    "  sandbox-worker [run] [flags]        serve the session that the environment names\n"
    "  sandbox-worker tool NAME JSON       run one tool here and print its result\n\n"
    "Times are written 500ms, 60s, 5m; 0 switches a limit off. A flag wins over its variable.\n"
    "Exit status: 0 the session is over (ended, idle, stopped, signal); 1 the item failed;\n"
    "2 wrong usage; 3 the lease went to another worker; 128+n a second signal n.";

constexpr std::string_view kNoPolling = "polling the queue isn't there yet: 'run' serves one claimed item";

/// The words before the flags; the public CLI's `beta:worker` may stand first (wire.md#start).
struct Words {
  std::string command = "run";
  std::vector<std::string> operands;
};

/// The error repeats no word: a mistyped flag may have left a key there.
std::expected<Words, std::string_view> understand_words(std::vector<std::string> words) {
  Words result;
  if (!words.empty() && words.front() == "beta:worker") words.erase(words.begin());
  if (!words.empty()) {
    result.command = words.front();
    words.erase(words.begin());
  }
  result.operands = std::move(words);
  if (result.command == "poll") return std::unexpected(kNoPolling);
  if (result.command == "tool") {
    if (result.operands.size() != 2) return std::unexpected("usage: sandbox-worker tool NAME JSON");
    return result;
  }
  if (result.command != "run") return std::unexpected("the only commands are 'run' and 'tool'; see --help");
  if (!result.operands.empty()) return std::unexpected("'run' takes flags only; see --help");
  return result;
}

/// What a person or `ps` could read of a key given as a flag is overwritten; the copy that CLI11 made is
/// used.
void overwrite_keys(int argc, char** argv) {
  constexpr std::string_view kFlag = "--environment-key";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with(kFlag)) continue;
    const std::string_view rest = argument.substr(kFlag.size());
    // CLI11 takes the next argument also after `--environment-key=`.
    if ((rest.empty() || rest == "=") && i + 1 < argc) {
      std::memset(argv[i + 1], '*', std::strlen(argv[i + 1]));
    } else if (rest.starts_with('=')) {
      std::memset(argv[i] + kFlag.size() + 1, '*', rest.size() - 1);
    }
  }
}

}  // namespace

Environment environment_of(const char* const* environ) {
  Environment environment;
  for (; environ && *environ; ++environ) {
    const std::string_view entry = *environ;
    const auto equals = entry.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

Command parse_command(int argc, char** argv, const Environment& environment) {
  CLI::App app{std::string(kDescription), "sandbox-worker"};
  app.set_version_flag("--version", "sandbox-worker " SANDBOX_WORKER_VERSION);
  std::vector<std::string> words;
  app.add_option("words", words, "")->group("");
  std::map<std::string, std::vector<std::string>, std::less<>> given;
  for (const Option& option : option_table()) {
    std::string flag(option.flag);
    std::string help(option.help);
    if (!option.variable.empty()) help += fmt::format(" [{}]", option.variable);
    if (option.value_name.empty()) {
      app.add_flag_callback(flag, [&given, flag] { given[flag].emplace_back(); }, help);
    } else {
      app.add_option_function<std::vector<std::string>>(
             flag, [&given, flag](const std::vector<std::string>& values) { given[flag] = values; }, help)
          ->type_name(std::string(option.value_name))
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->allow_extra_args(false);
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Exit{0, app.help()};
  } catch (const CLI::CallForVersion&) {
    return Exit{0, "sandbox-worker " SANDBOX_WORKER_VERSION "\n"};
  } catch (const CLI::ParseError& error) {
    overwrite_keys(argc, argv);
    // CLI11 repeats arguments, and a mistyped flag may have a key behind it; a missing value can't be one.
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
      return Exit{2, fmt::format("sandbox-worker: {}\n", error.what())};
    const auto polls = understand_words(std::move(words));  // which has flags of its own
    const bool is_poll = !polls && polls.error() == kNoPolling;
    return Exit{2, fmt::format("sandbox-worker: {}\n",
                               is_poll ? kNoPolling : "an argument that can't be understood; see --help")};
  }
  overwrite_keys(argc, argv);
  auto understood = understand_words(std::move(words));
  if (!understood) return Exit{2, fmt::format("sandbox-worker: {}\n", understood.error())};
  try {
    Settings settings(std::move(given), environment);
    const bool is_tool = understood->command == "tool";
    Config config = read_config(settings, !is_tool);
    if (!is_tool) return config;
    return ToolCommand{std::move(config), std::move(understood->operands[0]),
                       std::move(understood->operands[1])};
  } catch (const UsageError& error) {
    return Exit{2, fmt::format("sandbox-worker: {}\n", error.text)};
  }
}

}  // namespace sandbox_worker::worker
