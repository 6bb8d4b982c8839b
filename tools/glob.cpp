#include "tools/glob.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "tools/deadline.hpp"
#include "tools/glob_search.hpp"
#include "tools/match_text.hpp"
#include "tools/search_call.hpp"
#include "tools/search_notes.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxShown = 200;

/// Without what means nothing in a path: "./" and repeated slashes.
std::string without_empty_steps(std::string_view pattern) {
  std::string out;
  while (!pattern.empty()) {
    const bool begins = out.empty() || out.ends_with('/');
    if (begins && pattern.starts_with("./")) {
      pattern.remove_prefix(2);
      pattern.remove_prefix(std::min(pattern.find_first_not_of('/'), pattern.size()));
    } else if (out.ends_with('/') && pattern.front() == '/') {
      pattern.remove_prefix(1);
    } else {
      const std::size_t taken = pattern.front() == '\\' ? 2 : 1;
      out += pattern.substr(0, taken);
      pattern.remove_prefix(std::min(taken, pattern.size()));
    }
  }
  return out;
}

/// Where a pattern with the literal directories `directories` ("src/lib/") looks, as the caller would name
/// it.
std::string start_of(std::string_view path, std::string_view directories) {
  if (directories.empty()) return std::string(path);
  while (directories.size() > 1 && directories.ends_with('/')) directories.remove_suffix(1);
  std::string from;
  if (path != "." && !directories.starts_with('/')) from = path;
  if (!from.empty() && !from.ends_with('/')) from += '/';
  return from += directories;
}

bool is_directory(const Workspace& workspace, const std::string& path) {
  return workspace.open_file(path, O_PATH | O_DIRECTORY).has_value();
}

/// `pattern` with escapes in what precedes its first other wildcard, if that has brackets and something of
/// this name is there.
std::optional<std::string> with_literal_brackets(const Workspace& workspace, std::string_view path,
                                                 std::string_view pattern) {
  const auto wild = pattern.find_first_of("*?{\\");
  const bool whole = wild == std::string_view::npos;
  const auto end = whole ? pattern.size() : pattern.rfind('/', wild);
  if (end == std::string_view::npos) return std::nullopt;
  const auto name = pattern.substr(0, end);
  if (name.find('[') == std::string_view::npos) return std::nullopt;
  if (!workspace.open_file(start_of(path, name), whole ? O_PATH : O_PATH | O_DIRECTORY)) return std::nullopt;
  std::string escaped;
  for (const char c : name) {
    if (c == '[' || c == ']') escaped += '\\';
    escaped += c;
  }
  return escaped.append(pattern.substr(end));
}

/// What may help when `pattern` has found nothing in `path`.
std::string advice_for(const Workspace& workspace, std::string_view path, std::string_view pattern) {
  if (const auto meant = with_literal_brackets(workspace, path, pattern)) {
    return fmt::format("[write {} for that very name: [ and ] hold a choice of characters]\n", *meant);
  }
  if (pattern.find('/') != std::string_view::npos || pattern.starts_with("**")) return {};
  return fmt::format("[a pattern without / is looked for in the directory itself; **/{} also below it]\n",
                     pattern);
}

std::string text_of(const GlobHits& hits, const SearchPlace& place, std::string_view advice) {
  std::string text;
  for (const auto& hit : hits.newest) {
    text += shown_path(place.below(hit.path));
    text += '\n';
  }
  if (hits.total == 0) text = fmt::format("(no matches)\n{}", advice);
  if (hits.total > hits.newest.size()) {
    text += fmt::format("[{} not shown: only the {} newest are; narrow the pattern or the path]\n",
                        counted(hits.total - hits.newest.size(), "more matching file", "more matching files"),
                        kMaxShown);
  }
  if (hits.ignored > 0) {
    text += fmt::format(
        "[{}{} ignored by .gitignore and the like, or in node_modules, left out; name the ignored directory "
        "itself as path, or the file without wildcards, to see it; or use bash: find]\n",
        hits.more_ignored ? "at least " : "", counted(hits.ignored, "matching file", "matching files"));
  }
  if (hits.unreadable > 0) text += unreadable_note(hits.unreadable) + "\n";
  if (hits.rules_left_out) text += rules_left_out_note() + "\n";
  text.pop_back();
  return text;
}

}  // namespace

boost::asio::awaitable<ToolResult> Glob::run(nlohmann::json input) {
  return run_search_call(
      name(), std::move(input), options_,
      [tool = *this](std::string_view pattern, std::string_view path, std::stop_token stop) {
        return tool.search(pattern, path, std::move(stop));
      });
}

ToolResult Glob::search(std::string_view given, std::string_view path, std::stop_token stop) const {
  const Deadline deadline(std::move(stop), options_.limits.search_timeout);
  const std::string pattern = without_empty_steps(given);
  if (pattern.empty()) return ToolResult::error("glob: the pattern is empty");
  const auto tree = parse_glob(pattern);
  if (!tree) return ToolResult::error("glob: " + tree.error());
  if (has_parent_step(*tree))
    return ToolResult::error("glob: the pattern has a .. in it; name the directory as path");
  const auto [directories, rest] = split_literal_directories(pattern);
  if (!directories.starts_with('/') && may_be_absolute(*tree)) {
    if (tree->front().kind != GlobNode::Kind::choice)
      return ToolResult::error("glob: the pattern begins with a / in brackets; write it without them");
    return ToolResult::error(
        "glob: the pattern has an absolute path in braces; begin with what its paths share, as in "
        "/a/{b,c}/*, or call glob for each");
  }
  if (pattern.ends_with('/'))
    return ToolResult::error("glob: only files are found; write " + pattern + "** for all in a directory");
  const auto compiled = GlobPattern::compile(rest);
  if (!compiled) return ToolResult::error("glob: " + compiled.error());
  if (path.empty()) return ToolResult::error("glob: " + empty_path_error().text);
  const auto literal = literal_path(pattern);
  if (literal && is_directory(*options_.workspace, start_of(path, *literal))) {
    return ToolResult::text(
        fmt::format("(no matches)\n[{0} is a directory; {0}/** lists its files]", pattern));
  }
  const std::string from = start_of(path, directories);
  const auto place = open_search_place(options_, from);
  if (!place) {
    const bool missing = place.error().error == ENOENT || place.error().error == ENOTDIR;
    if (missing && !directories.empty()) return ToolResult::text("(no matches: " + place.error().text + ")");
    return ToolResult::error("glob: " + place.error().text);
  }
  if (!place->directory && !directories.empty())
    return ToolResult::text("(no matches: " + from + " is a file, not a directory)");
  if (!place->directory)
    return ToolResult::error("glob: " + from + " is a file; the path is where to look, a directory");
  const GlobHits hits =
      glob(*compiled, literal_path(rest).has_value(), *place, *options_.workspace, deadline, kMaxShown);
  const auto advice = hits.total == 0 ? advice_for(*options_.workspace, path, pattern) : std::string();
  return with_deadline_note("glob", text_of(hits, *place, advice), deadline, options_.limits.search_timeout);
}

}  // namespace sandbox_worker::tools
