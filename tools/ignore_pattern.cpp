#include "tools/ignore_pattern.hpp"

#include <algorithm>
#include <utility>

#include "tools/character_class.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t npos = std::string_view::npos;
constexpr std::string_view kSpecial = "*?[\\";

// Longer lines are no file names; git has no limit, but a matcher must end in time.
constexpr std::size_t kMaxLine = 4096;

std::string_view without_trailing_spaces(std::string_view line) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool escaped = line[i] == '\\' && i + 1 < line.size();
    if (escaped) ++i;
    if (escaped || line[i] != ' ') end = i + 1;
  }
  return line.substr(0, end);
}

}  // namespace

std::optional<IgnorePattern> IgnorePattern::parse(std::string_view line) {
  if (line.starts_with('#')) return std::nullopt;
  line = without_trailing_spaces(line);
  IgnorePattern pattern;
  if (line.starts_with('!')) {
    pattern.negated_ = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    pattern.directory_only_ = true;
    line.remove_suffix(1);
  }
  if (line.empty() || line.size() > kMaxLine) return std::nullopt;
  pattern.by_name_ = line.find('/') == npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  if (!pattern.compile(line)) return std::nullopt;
  pattern.classify(line);
  return pattern;
}

void IgnorePattern::classify(std::string_view glob) {
  const auto wild = glob.find_first_of(kSpecial);
  exact_ = wild == npos;
  literal_ = glob.substr(0, wild);
  last_component_ = glob.substr(glob.rfind('/') + 1);
  if (exact_) {
    tokens_ = {};
    return;
  }
  needed_ = longest_literal();
  const auto takes_slash = [](const Token& token) {
    return token.kind == Kind::anything || token.kind == Kind::any_directories ||
           (token.kind == Kind::byte && token.byte == '/');
  };
  const auto last = std::ranges::find_if(tokens_.rbegin(), tokens_.rend(), takes_slash);
  directory_tokens_ = static_cast<std::size_t>(tokens_.rend() - last);
  if (!by_name_ || !glob.starts_with("*.")) return;
  const std::string_view rest = glob.substr(2);
  if (rest.find_first_of(kSpecial) != npos || rest.find('.') != npos) return;
  extension_ = true;
  literal_ = glob.substr(1);
}

std::string IgnorePattern::longest_literal() const {
  std::string longest;
  std::string run;
  for (const Token& token : tokens_) {
    if (token.kind == Kind::byte) {
      run += static_cast<char>(token.byte);
    } else {
      run.clear();
    }
    if (run.size() > longest.size()) longest = run;
  }
  return longest;
}

bool IgnorePattern::compile(std::string_view glob) {
  for (std::size_t at = 0; at < glob.size();) {
    const char c = glob[at];
    if (c == '*') {
      compile_stars(glob, at);
    } else if (c == '?') {
      tokens_.push_back({Kind::any, 0, 0});
      ++at;
    } else if (c == '[') {
      const auto set = compile_set(glob, ++at);
      if (!set) return false;
      tokens_.push_back({Kind::set, 0, static_cast<std::uint16_t>(sets_.size())});
      sets_.push_back(*set);
    } else {
      if (c == '\\' && ++at == glob.size()) return false;
      tokens_.push_back({Kind::byte, static_cast<std::uint8_t>(glob[at++]), 0});
    }
  }
  return true;
}

bool IgnorePattern::compile_stars(std::string_view glob, std::size_t& at) {
  const std::size_t first = at;
  at = std::min(glob.find_first_not_of('*', at), glob.size());
  // git compares what precedes the first wildcard by itself and hands on the rest, so that two stars right
  // after it stand at a "beginning" too: foo**/bar means more than its manual says.
  const bool opens = first == 0 || glob[first - 1] == '/' || first == glob.find_first_of(kSpecial);
  const bool closes = at == glob.size() || glob[at] == '/' || glob.substr(at).starts_with("\\/");
  if (by_name_ || at - first < 2 || !opens || !closes) {
    tokens_.push_back({Kind::star, 0, 0});
    return true;
  }
  const bool before_slash = at < glob.size() && glob[at] == '/';
  tokens_.push_back({before_slash ? Kind::any_directories : Kind::anything, 0, 0});
  if (before_slash) ++at;
  return true;
}

std::optional<IgnorePattern::Set> IgnorePattern::compile_set(std::string_view glob, std::size_t& at) const {
  Set set;
  const bool inverted = at < glob.size() && (glob[at] == '!' || glob[at] == '^');
  if (inverted) ++at;
  const std::size_t first = at;
  std::optional<unsigned char> before;  // what a range may begin with
  for (; at < glob.size() && (glob[at] != ']' || at == first); ++at) {
    const bool range = glob[at] == '-' && before && at + 1 < glob.size() && glob[at + 1] != ']';
    if (glob.substr(at).starts_with("[:")) {
      const auto close = glob.find(']', at + 2);
      if (close == npos) return std::nullopt;
      if (close > at + 2 && glob[close - 1] == ':') {
        const auto test = character_class(glob.substr(at + 2, close - 1 - (at + 2)));
        if (test == nullptr) return std::nullopt;
        for (int c = 0; c < 128; ++c)
          set[static_cast<std::size_t>(c)] = set[static_cast<std::size_t>(c)] || test(c);
        at = close;
        before.reset();
        continue;
      }
    }
    if (range) ++at;
    if (glob[at] == '\\') ++at;
    if (at == glob.size()) return std::nullopt;
    const auto c = static_cast<unsigned char>(glob[at]);
    for (unsigned i = range ? *before : c; i <= c; ++i) set.set(i);
    before = range ? std::nullopt : std::optional(c);
  }
  if (at >= glob.size()) return std::nullopt;
  ++at;
  if (inverted) set.flip();
  set.reset('/');
  return set;
}

bool IgnorePattern::accepts(const Token& token, char c) const {
  switch (token.kind) {
    case Kind::byte:
      return token.byte == static_cast<std::uint8_t>(c);
    case Kind::any:
      return c != '/';
    case Kind::set:
      return sets_[token.set][static_cast<unsigned char>(c)];
    default:
      return false;
  }
}

bool IgnorePattern::matches(std::string_view text) const {
  if (exact_) return text == literal_;
  if (extension_) return text.ends_with(literal_);
  if (!text.starts_with(literal_) || text.find(needed_) == npos) return false;
  return matches(tokens_, text);
}

bool IgnorePattern::anywhere() const noexcept {
  return by_name_ || (directory_tokens_ == 1 && tokens_.front().kind != Kind::byte);
}

bool IgnorePattern::concerns(std::string_view directory) const {
  if (by_name_) return true;
  if (exact_)
    return directory == std::string_view(literal_).substr(0, literal_.size() - last_component_.size());
  return matches(std::span(tokens_).first(directory_tokens_), directory);
}

// What lies between two "**" is a fixed number of components, and what lies between two "*" of one component
// is a fixed string of tokens: taking the first place where each fits leaves the most for the rest, so only
// the last star of either kind is ever tried again.
bool IgnorePattern::matches(std::span<const Token> tokens, std::string_view text) const {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = npos;
  std::size_t star_at = 0;
  std::size_t deep = npos;
  std::size_t deep_at = 0;
  while (true) {
    if (p == tokens.size()) {
      if (t == text.size()) return true;
    } else if (tokens[p].kind == Kind::star) {
      star = p++;
      star_at = t;
      continue;
    } else if (tokens[p].kind == Kind::anything || tokens[p].kind == Kind::any_directories) {
      if (tokens[p].kind == Kind::anything && p + 1 == tokens.size()) return true;
      deep = p++;
      deep_at = t;
      star = npos;
      continue;
    } else if (t < text.size() && accepts(tokens[p], text[t])) {
      ++p;
      ++t;
      continue;
    }
    if (star != npos && star_at < text.size() && text[star_at] != '/') {
      t = ++star_at;
      p = star + 1;
      continue;
    }
    if (deep == npos) return false;
    const bool to_slash = tokens[deep].kind == Kind::any_directories;
    deep_at = to_slash ? text.find('/', deep_at) : deep_at;
    if (deep_at >= text.size()) return false;
    t = ++deep_at;
    p = deep + 1;
    star = npos;
  }
}

}  // namespace sandbox_worker::tools
