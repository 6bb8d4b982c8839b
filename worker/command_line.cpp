#include "worker/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/help.hpp"
#include "worker/read_config.hpp"
#include "worker/settings.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr std::string_view kNoPolling = "polling the queue isn't there yet: 'run' serves one claimed item";

/// One more than any command has: a word too many is told with that command's usage.
constexpr std::size_t kMaxWords = 5;

constexpr std::string_view kKeyFlag = "--environment-key";

/// Longer than any flag of ours.
constexpr std::size_t kLongestFlag = 32;

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

/// Names the first flag among what CLI11 left over, if it is made as ours are and can't have a key stuck to
/// it: the message may be kept in a log.
std::string not_understood(const std::vector<std::string>& left_over) {
  for (const std::string_view argument : left_over) {
    if (argument == "--") break;  // no flags stand behind it
    const std::string_view flag = argument.substr(0, argument.find('='));
    const bool like_ours = flag.starts_with("--") && flag.size() > 2 && flag.size() <= kLongestFlag &&
                           flag.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string_view::npos;
    if (like_ours && !flag.starts_with(kKeyFlag)) return fmt::format("there is no flag {}; see --help", flag);
  }
  return "an argument that can't be understood; see --help";
}

/// What a person or `ps` could read of a key given as a flag is overwritten; the copy that CLI11 made is
/// used.
void overwrite_keys(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with(kKeyFlag)) continue;
    const std::string_view rest = argument.substr(kKeyFlag.size());
    // CLI11 takes the next argument also after `--environment-key=`.
    if ((rest.empty() || rest == "=") && i + 1 < argc) {
      std::memset(argv[i + 1], '*', std::strlen(argv[i + 1]));
    } else if (rest.starts_with('=')) {
      std::memset(argv[i] + kKeyFlag.size() + 1, '*', rest.size() - 1);
    }
  }
}

}  // namespace

Command parse_command(int argc, char** argv, const Environment& environment) {
  CLI::App app{"", "sandbox-worker"};
  app.set_version_flag("--version", "sandbox-worker " SANDBOX_WORKER_VERSION);
  std::vector<std::string> words;
  // Each is an argument of its own: in those that can be given several times, CLI11 takes "[...]" apart.
  for (std::size_t i = 0; i < kMaxWords; ++i)
    app.add_option_function<std::string>(fmt::format("word{}", i),
                                         [&words](const std::string& word) { words.push_back(word); })
        ->group("");
  Settings::Flags given;
  for (const Option& option : option_table()) {
    std::string flag(option.flag);
    if (option.value_name.empty()) {
      app.add_flag_callback(flag, [&given, flag] { given[flag].emplace_back(); });
    } else {
      app.add_option_function<std::vector<std::string>>(
             flag, [&given, flag](const std::vector<std::string>& values) { given[flag] = values; })
          ->type_name(std::string(option.value_name))
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->allow_extra_args(false);
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Exit{0, help_text()};
  } catch (const CLI::CallForVersion&) {
    return Exit{0, "sandbox-worker " SANDBOX_WORKER_VERSION "\n"};
  } catch (const CLI::ParseError& error) {
    overwrite_keys(argc, argv);
    // CLI11 repeats arguments, and a mistyped flag may have a key behind it; a missing value can't be one.
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
      return Exit{2, std::string(error.what())};
    const auto polls = understand_words(std::move(words));  // which has flags of its own
    const bool is_poll = !polls && polls.error() == kNoPolling;
    return Exit{2, is_poll ? std::string(kNoPolling) : not_understood(app.remaining())};
  }
  overwrite_keys(argc, argv);
  auto understood = understand_words(std::move(words));
  if (!understood) return Exit{2, std::string(understood.error())};
  try {
    Settings settings(std::move(given), environment);
    const bool is_tool = understood->command == "tool";
    Config config = read_config(settings, !is_tool);
    if (!is_tool) return config;
    return ToolCommand{std::move(config), std::move(understood->operands[0]),
                       std::move(understood->operands[1])};
  } catch (const UsageError& error) {
    return Exit{2, std::string(error.text)};
  }
}

}  // namespace sandbox_worker::worker
