#include "tools/ignore_rules.hpp"

#include <algorithm>
#include <utility>

namespace sandbox_worker::tools {

IgnoreRules IgnoreRules::parse(std::string_view text) {
  IgnoreRules rules;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (auto pattern = IgnorePattern::parse(line)) rules.add(std::move(*pattern));
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

bool is_ignored(const IgnoreScope* scope, std::string_view path, std::string_view name, bool is_directory) {
  auto git = IgnoreDecision::none;
  auto user = IgnoreDecision::none;
  bool in_repository = true;
  for (const IgnoreScope* at = scope; at != nullptr; at = at->above.get()) {
    const std::string_view below = path.substr(at->base);
    const auto own = at->dot_ignore.decide(below, name, is_directory);
    if (own != IgnoreDecision::none) return own == IgnoreDecision::ignored;
    if (in_repository && git == IgnoreDecision::none) {
      git = at->gitignore.decide(below, name, is_directory);
    }
    if (in_repository && user == IgnoreDecision::none) {
      user = at->exclude.decide(below, name, is_directory);
      if (at->global && user == IgnoreDecision::none) user = at->global->decide(below, name, is_directory);
    }
    if (at->repository) in_repository = false;
  }
  return (git != IgnoreDecision::none ? git : user) == IgnoreDecision::ignored;
}

}  // namespace sandbox_worker::tools
