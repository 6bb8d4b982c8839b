#include "tools/grep.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "tools/deadline.hpp"
#include "tools/grep_report.hpp"
#include "tools/grep_search.hpp"
#include "tools/regex_error.hpp"
#include "tools/search_call.hpp"
#include "tools/search_notes.hpp"

namespace sandbox_worker::tools {
namespace {

void append_line(std::string& text, std::string_view line) {
  if (!text.ends_with('\n')) text += '\n';
  text += line;
}

std::string nothing_found(const SearchPlace& place, const GrepCounts& counts) {
  if (!place.directory && counts.binary > 0) return "(no matches: the file is binary)";
  std::string text = fmt::format("(no matches in {})", counted(counts.searched, "file", "files"));
  if (counts.binary > 0)
    append_line(text,
                fmt::format("[{} not searched]", counted(counts.binary, "binary file", "binary files")));
  if (counts.ignored > 0) {
    append_line(
        text, fmt::format("[{}{} ignored by .gitignore and the like, or in node_modules, not searched; name "
                          "the ignored file or directory itself as path to search it]",
                          counts.more_ignored ? "at least " : "", counted(counts.ignored, "file", "files")));
  }
  return text;
}

// What may be missing, whether something was found or not.
void append_gaps(std::string& text, const GrepCounts& counts) {
  if (counts.unreadable > 0)
    append_line(text, fmt::format("[{} couldn't be read]", counted(counts.unreadable, "file", "files")));
  if (counts.unreadable_directories > 0) append_line(text, unreadable_note(counts.unreadable_directories));
  if (counts.rules_left_out) append_line(text, rules_left_out_note());
  if (counts.in_pieces > 0) {
    append_line(text, fmt::format("[{} searched in pieces: a match of over {} bytes may be missing]",
                                  counted(counts.in_pieces, "file was", "files were"), counts.sure));
  }
}

}  // namespace

boost::asio::awaitable<ToolResult> Grep::run(nlohmann::json input) {
  return run_search_call(
      name(), std::move(input), options_,
      [tool = *this](std::string_view pattern, std::string_view path, std::stop_token stop) {
        return tool.search(pattern, path, std::move(stop));
      });
}

ToolResult Grep::search(std::string_view pattern, std::string_view path, std::stop_token stop) const {
  const Deadline deadline(std::move(stop), options_.limits.search_timeout);
  const auto compiled = LineSearch::compile(pattern);
  if (!compiled) return ToolResult::error("grep: " + compiled.error());
  const auto place = open_search_place(options_, path);
  if (!place) return ToolResult::error("grep: " + place.error().text);
  GrepReport report(kMaxResultCodePoints, options_.spill);
  const GrepCounts counts =
      grep(*compiled, *place, deadline, [&](const MatchChunk& chunk) { report.add(chunk); });
  if (counts.error != 0 && report.lines() == 0)
    return ToolResult::error("grep: " + system_error_text("read", path, counts.error));
  std::string text = report.lines() > 0 ? report.text() : nothing_found(*place, counts);
  append_gaps(text, counts);
  const auto advice = no_match_advice(pattern);
  if (report.lines() == 0 && !advice.empty()) append_line(text, fmt::format("[{}]", advice));
  return with_deadline_note("grep", std::move(text), deadline, options_.limits.search_timeout);
}

}  // namespace sandbox_worker::tools
