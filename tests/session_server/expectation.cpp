#include "tests/session_server/expectation.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

namespace session_server {
namespace {

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string quoted(const std::string& text) {
  constexpr std::size_t kShown = 400;
  std::string shown = text.size() > kShown ? text.substr(0, kShown) + "…" : text;
  return "\n      got:      " + Json(shown).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string expected(std::string_view what, const std::string& value) {
  return fmt::format("{}\n      expected: {}", what,
                     Json(value).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

std::vector<std::string> check_answer(const Expectation& expect, const Call& call) {
  std::vector<std::string> problems;
  const Answer& answer = call.answers.front();
  const std::string text = text_of(answer.content);
  const auto problem = [&](const std::string& what) { problems.push_back(what + quoted(text)); };
  if (expect.is_error && *expect.is_error != answer.is_error) {
    problem(answer.is_error ? "is an error, should not be" : "is no error, should be one");
  }
  if (expect.text && *expect.text != text) problem(expected("wrong text", *expect.text));
  for (auto& part : expect.contains) {
    if (text.find(part) == std::string::npos) problem(expected("the text lacks this", part));
  }
  for (auto& part : expect.lacks) {
    if (text.find(part) != std::string::npos) problem(expected("the text must not have this", part));
  }
  for (auto& pattern : expect.matches) {
    const RE2 expression(pattern);
    if (!expression.ok()) {
      problems.push_back("bad expression in the script: " + expression.error());
    } else if (!RE2::PartialMatch(text, expression)) {
      problem(expected("the text does not match", pattern));
    }
  }
  const std::string type = answer.content.empty() ? "" : answer.content.front().value("type", "");
  if (expect.type && *expect.type != type) problem(expected("wrong type of content", *expect.type));
  const std::size_t length = characters(text);
  if (expect.min_characters && length < *expect.min_characters)
    problem(fmt::format("only {} characters", length));
  if (expect.max_characters && length > *expect.max_characters) problem(fmt::format("{} characters", length));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(answer.at - call.at);
  if (expect.within && took > *expect.within) {
    problem(fmt::format("took {} ms, more than {}", took.count(), expect.within->count()));
  }
  return problems;
}

std::vector<std::string> check_file(const FileCheck& check, const std::filesystem::path& workdir) {
  const std::filesystem::path path = workdir / check.path;
  std::ifstream file(path, std::ios::binary);
  if (!check.exists) {
    if (file) return {check.path + " should not exist"};
    return {};
  }
  if (!file) return {check.path + " does not exist"};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> problems;
  if (check.text && *check.text != text) {
    problems.push_back(check.path + ": " + expected("wrong content", *check.text) + quoted(text));
  }
  for (auto& part : check.contains) {
    if (text.find(part) == std::string::npos) {
      problems.push_back(check.path + ": " + expected("lacks this", part) + quoted(text));
    }
  }
  std::set<std::string> seen;
  std::size_t lines = 0;
  for (std::size_t start = 0; start < text.size(); ++lines) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    if (!seen.insert(line).second && check.unique_lines) {
      problems.push_back(fmt::format("{}: the line \"{}\" is there twice", check.path, line));
    }
    start = end + 1;
  }
  if (check.lines && *check.lines != lines) {
    problems.push_back(fmt::format("{}: has {} lines, should have {}", check.path, lines, *check.lines));
  }
  return problems;
}

void fill_in(std::string& text, const std::string& workdir) {
  constexpr std::string_view mark = "${workdir}";
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + workdir.size())) {
    text.replace(at, mark.size(), workdir);
  }
}

void fill_in(Json& json, const std::string& workdir) {
  if (json.is_string()) {
    fill_in(json.get_ref<std::string&>(), workdir);
  } else if (json.is_structured()) {
    for (auto& item : json) fill_in(item, workdir);
  }
}

void fill_in(PlannedCall& call, const std::string& workdir) {
  fill_in(call.call.input, workdir);
  if (call.expect.text) fill_in(*call.expect.text, workdir);
  for (auto* texts : {&call.expect.contains, &call.expect.lacks, &call.expect.matches}) {
    for (auto& text : *texts) fill_in(text, workdir);
  }
}

std::string one_line(const std::string& text, std::size_t columns) {
  std::string line = text.substr(0, text.find('\n'));
  std::size_t seen = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if ((static_cast<unsigned char>(line[i]) & 0xC0U) == 0x80U) continue;
    if (++seen > columns) return line.substr(0, i) + "…";
  }
  return line.size() < text.size() && line.size() + 1 < text.size() ? line + " …" : line;
}

}  // namespace session_server
