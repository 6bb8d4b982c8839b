#include "tools/regex_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace sandbox_worker::tools {
namespace {

struct Advice {
  std::string_view part;  // what the refused part begins with
  std::string_view text;
};

constexpr Advice kAdvice[] = {
    {"(?=", "look-ahead is not supported; match the text itself, e.g. foo.*bar instead of foo(?=.*bar)"},
    {"(?!",
     "negative look-ahead is not supported; search for the wider pattern and leave out lines afterwards, or "
     "name what may follow in a class, e.g. foo[^b] instead of foo(?!b)"},
    {"(?<=", "look-behind is not supported; match what precedes as well, e.g. foobar instead of (?<=foo)bar"},
    {"(?<!",
     "negative look-behind is not supported; name what may precede in a class, e.g. [^o]bar instead of "
     "(?<!o)bar"},
    {"(?>", "atomic groups are not supported nor needed (no pattern backtracks here); write (?:…)"},
    {"(?<", "named groups are written (?P<name>…)"},
    {"(?#", "comments are not supported; leave it out"},
    {"(?P=", "back-references are not supported; write the repeated text out, or search for the first part"},
    {"(?P>", "recursion is not supported"},
    {"(?R", "recursion is not supported"},
    {"(?|", "write (?:…); which group matched makes no difference here"},
    {"(?(", "conditions are not supported; write the two cases as a|b"},
    {"[:",
     "the classes are [:alpha:] [:digit:] [:alnum:] [:upper:] [:lower:] [:space:] [:blank:] [:punct:] "
     "[:print:] [:graph:] [:cntrl:] [:xdigit:] [:word:] [:ascii:]"},
    {"\\X", "write . for a character, or \\pL\\pM* for a letter with its marks"},
    {"\\N", "write . for any character but a line's end"},
    {"\\G", "\\G is not supported; write ^ for the beginning of a line"},
    {"\\c", "write \\x01 to \\x1a for control-A to control-Z"},
    {"\\Z", "write $ for the end of a line, or (?s) in front and \\z for the end of the file"},
    {"\\K", "\\K is not supported; match the whole text"},
    {"\\h", "write [ \\t] for horizontal space"},
    {"\\R", "write \\r?\\n for a line's end"},
    {"\\k", "back-references are not supported; write the repeated text out, or search for the first part"},
    {"\\b", "write \\x08 for a backspace in a class"},
    {"\\e", "write \\x1b for the escape character"},
    {"\\u", "write \\x{…} for a character by its number"},
};

// By RE2's reason, for a character that was most likely meant as itself.
constexpr Advice kLiterals[] = {
    {"missing )", "write \\( for a literal one"},
    {"unexpected )", "write \\) for a literal one"},
    {"missing ]", "write \\[ for a literal one"},
    {"no argument for repetition operator", "write a \\ before it for a literal one"},
};

std::string_view advice_for_reason(std::string_view reason) {
  for (const auto& advice : kLiterals) {
    if (reason.starts_with(advice.part)) return advice.text;
  }
  return {};
}

// "(?x)", "(?i-x:"
bool sets_extended(std::string_view part) {
  if (!part.starts_with("(?")) return false;
  const auto flags = part.substr(2, part.find_first_not_of("imsUx-", 2) - 2);
  return flags.contains('x');
}

std::string_view advice_for(std::string_view part) {
  if (part.size() > 1 && part[0] == '\\' && std::isdigit(static_cast<unsigned char>(part[1]))) {
    return "back-references are not supported; write the repeated text out, or search for the first part";
  }
  if (sets_extended(part))
    return "the flag x is not supported; write the pattern without blanks and comments";
  for (const auto& advice : kAdvice) {
    if (part.starts_with(advice.part)) return advice.text;
  }
  return {};
}

// "{2,1}"
bool is_inverted(std::string_view repetition) {
  unsigned min = 0;
  unsigned max = 0;
  const char* const end = repetition.data() + repetition.size();
  const auto [comma, error] = std::from_chars(repetition.data() + 1, end, min);
  if (error != std::errc() || comma == end) return false;
  return std::from_chars(comma + 1, end, max).ec == std::errc() && max < min;
}

}  // namespace

std::string regex_too_large_text() {
  return "the pattern is too large, with its repetitions multiplied: it needs more time or memory than a "
         "search may use; use a shorter one";
}

std::string regex_error_text(std::string_view pattern, std::string_view reason, std::string_view part) {
  if (reason.starts_with("pattern too large")) return regex_too_large_text();
  if (reason == "bad repetition operator") {
    return fmt::format("a repetition of a repetition ({}) is not supported; put the inner one in (?:…)",
                       part);
  }
  if (reason == "invalid repetition size" && is_inverted(part)) {
    return fmt::format("the repetition {} has its bounds the wrong way round", part);
  }
  if (reason == "invalid repetition size") {
    return fmt::format("the repetition {} is too large; at most 1000 are possible, nested ones multiplied",
                       part);
  }
  constexpr std::size_t kShown = 60;
  std::string text = fmt::format("{} in the pattern", reason);
  if (!part.empty()) text += fmt::format(": {}{}", part.substr(0, kShown), part.size() > kShown ? "…" : "");
  // RE2 quotes what it has read, which ends before the letter that tells "(?<=" from "(?<!".
  const auto at = pattern.find(part);
  auto advice = advice_for(at == std::string_view::npos ? part : pattern.substr(at));
  if (advice.empty()) advice = advice_for_reason(reason);
  if (!advice.empty()) text += fmt::format(" ({})", advice);
  return text;
}

std::string_view no_match_advice(std::string_view pattern) {
  const bool beyond_ascii =
      std::ranges::any_of(pattern, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  for (std::size_t at = 0; at + 1 < pattern.size(); ++at) {
    if (pattern[at] != '\\') continue;
    ++at;
    if (pattern[at] == '<' || pattern[at] == '>')
      return "\\< and \\> are the characters themselves here; write \\b for the edge of a word";
    if (pattern[at] == '|') return "\\| is the character itself here; write | for alternatives";
    if (beyond_ascii && std::string_view("bBwW").contains(pattern[at]))
      return "\\b and \\w know ASCII only; write [\\pL\\pN_] for \\w, and leave \\b out beside other letters";
  }
  return {};
}

}  // namespace sandbox_worker::tools
