#include "worker/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "worker/option_table.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kIndent = 32;  // of what is said about a name

constexpr std::string_view kBegin =
    R"(The hands of an agent: attaches to a session's event stream, runs each tool call
(bash, read, write, edit, glob, grep) in the workdir, posts the results, and
renews the lease of the work item until the session is over.

  sandbox-worker [run] [flags]    serve the session that the environment names
  sandbox-worker tool NAME JSON   run one tool here and print its result
  sandbox-worker --help
  sandbox-worker --version

Times are written 500ms, 60s, 5m, 2h; 0 switches a limit off. A flag wins over
its variable, which is in brackets; an empty variable counts as absent. Names
after "also" are those of integrations: they count below ours, in their order.

)";

constexpr std::string_view kEnd = R"(
Exit status:
  0        the session ended or went idle, the item was stopped, the run's time
           was up, or a signal asked for the end
  1        the item failed, or could not be stopped; the reason is on stderr
  2        wrong usage or configuration; nothing was sent
  3        the lease was lost: another worker has it, or no heartbeat succeeded
           in time
  128 + n  a second signal n cut the teardown
SIGTERM, SIGINT and, except under nohup, SIGHUP end a run in order.
'tool' exits with 0, 1 when the tool gave an error, 2, or 128 + n after a
signal n.
)";

struct Variable {
  std::string_view names;
  std::string_view help;
};

constexpr Variable kVariables[] = {
    {"ANTHROPIC_WORK_SECRET", "the work item's secret; its token is used in place of the key"},
    {"ANTHROPIC_CUSTOM_HEADERS", "further request headers, one 'Name: value' a line"},
    {"HTTPS_PROXY, HTTP_PROXY",
     "http://[user:password@]host:port for an https or http service, in upper or lower case; never for "
     "loopback"},
    {"NO_PROXY", "hosts, .domains and CIDR blocks that need no proxy, between commas; * for all"},
    {"SSL_CERT_FILE", "certificates to trust besides the system's, when there is no --ca-file"},
    {"SSL_CERT_DIR", "a directory of certificates in place of the system's"},
};

/// Appends an entry; words of `help` go on below each other.
void append(std::string& text, std::string_view name, std::string_view help) {
  std::string line = fmt::format("  {:<{}}", name, kIndent - 2);
  if (name.size() + 3 > kIndent) {
    text += line + "\n";
    line.assign(kIndent, ' ');
  }
  while (!help.empty()) {
    const auto word = help.substr(0, help.find(' '));
    help.remove_prefix(std::min(help.size(), word.size() + 1));
    const bool begins = line.size() == kIndent;
    if (!begins && line.size() + 1 + word.size() > kWidth) {
      text += line + "\n";
      line.assign(kIndent, ' ');
    } else if (!begins) {
      line += ' ';
    }
    line += word;
  }
  text += line + "\n";
}

std::string help_of(const Option& option) {
  std::string text(option.help);
  if (option.variable.empty()) return text;
  text += fmt::format(" [{}", option.variable);
  for (const ForeignName& foreign : option.foreign) {
    text += &foreign == &option.foreign.front() ? "; also " : ", ";
    text += foreign.name;
  }
  return text + "]";
}

}  // namespace

std::string help_text() {
  std::string text(kBegin);
  text += "Flags:\n";
  for (const Option& option : option_table())
    append(text, fmt::format("{} {}", option.flag, option.value_name), help_of(option));
  text += "\nVariables without a flag:\n";
  for (const Variable& variable : kVariables) append(text, variable.names, variable.help);
  text += kEnd;
  return text;
}

}  // namespace sandbox_worker::worker
