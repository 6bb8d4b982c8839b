#include "tools/ignore_rules.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sandbox_worker::tools {
namespace {

bool is_any_name(std::string_view component) {
  return component.find_first_not_of('*') == std::string_view::npos;
}

bool is_placeholder(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames{".gitignore", ".ignore", ".gitkeep", ".keep"};
  return std::ranges::find(kNames, name) != kNames.end();
}

/// The decision of the first of the scope's files that has one, in git's order. `decide` asks one of them;
/// the second argument is the scope's base.
template <class Decide>
IgnoreDecision decide_in(const IgnoreScope* scope, const Decide& decide) {
  auto git = IgnoreDecision::none;
  auto user = IgnoreDecision::none;
  bool in_repository = true;
  for (const IgnoreScope* at = scope; at != nullptr; at = at->above.get()) {
    const auto own = decide(at->dot_ignore, at->base);
    if (own != IgnoreDecision::none) return own;
    if (in_repository && git == IgnoreDecision::none) git = decide(at->gitignore, at->base);
    if (in_repository && user == IgnoreDecision::none) {
      user = decide(at->exclude, at->base);
      if (at->global && user == IgnoreDecision::none) user = decide(*at->global, at->base);
    }
    if (at->repository) in_repository = false;
  }
  return git != IgnoreDecision::none ? git : user;
}

}  // namespace

IgnoreRules IgnoreRules::parse(std::string_view text, IgnoreRoom& room) {
  IgnoreRules rules;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto pattern = IgnorePattern::parse(line);
    if (!pattern) continue;
    if (room.rules == 0 || room.bytes < line.size()) {
      room.left_out = true;
      break;
    }
    --room.rules;
    room.bytes -= line.size();
    rules.add(std::move(*pattern));
  }
  return rules;
}

void IgnoreRules::add(IgnorePattern pattern) {
  const auto index = static_cast<std::uint32_t>(patterns_.size());
  if (pattern.exact() != nullptr) {
    (pattern.by_name() ? by_name_ : by_path_)[*pattern.exact()].push_back(index);
  } else if (pattern.extension() != nullptr) {
    by_extension_[*pattern.extension()].push_back(index);
  } else {
    in_order_.push_back(index);
  }
  patterns_.push_back(std::move(pattern));
}

IgnoreDecision IgnoreRules::decide(std::string_view path, std::string_view name, bool is_directory) const {
  if (patterns_.empty()) return IgnoreDecision::none;
  std::int64_t best = -1;
  const auto last_of = [&](const Index& index, std::string_view key) {
    const auto found = index.find(key);
    if (found == index.end()) return;
    for (const auto at : found->second) {
      if (is_directory || !patterns_[at].directory_only()) best = std::max<std::int64_t>(best, at);
    }
  };
  if (!by_name_.empty()) last_of(by_name_, name);
  if (!by_path_.empty()) last_of(by_path_, path);
  const auto dot = name.rfind('.');
  if (dot != std::string_view::npos && !by_extension_.empty()) last_of(by_extension_, name.substr(dot));
  for (std::size_t i = in_order_.size(); i > 0 && in_order_[i - 1] > best; --i) {
    const IgnorePattern& pattern = patterns_[in_order_[i - 1]];
    if (pattern.directory_only() && !is_directory) continue;
    if (pattern.matches(pattern.by_name() ? name : path)) best = in_order_[i - 1];
  }
  if (best < 0) return IgnoreDecision::none;
  const bool negated = patterns_[static_cast<std::size_t>(best)].negated();
  return negated ? IgnoreDecision::included : IgnoreDecision::ignored;
}

IgnoreDecision IgnoreRules::decide_all_in(std::string_view directory) const {
  bool excepted_here = false;
  bool excepted_anywhere = false;
  for (auto at = patterns_.rbegin(); at != patterns_.rend(); ++at) {
    if (!at->concerns(directory)) continue;
    if (at->negated()) {
      if (!is_placeholder(at->last_component())) (at->anywhere() ? excepted_anywhere : excepted_here) = true;
    } else if (!at->directory_only() && is_any_name(at->last_component())) {
      const bool excepted = excepted_here || (excepted_anywhere && (at->anywhere() || directory.empty()));
      return excepted ? IgnoreDecision::included : IgnoreDecision::ignored;
    }
  }
  return IgnoreDecision::none;
}

bool is_ignored(const IgnoreScope* scope, std::string_view path, std::string_view name, bool is_directory) {
  return decide_in(scope, [&](const IgnoreRules& rules, std::size_t base) {
           return rules.decide(path.substr(base), name, is_directory);
         }) == IgnoreDecision::ignored;
}

bool ignores_all_in(const IgnoreScope* scope, std::string_view directory) {
  return decide_in(scope, [&](const IgnoreRules& rules, std::size_t base) {
           return rules.decide_all_in(directory.substr(base));
         }) == IgnoreDecision::ignored;
}

}  // namespace sandbox_worker::tools
