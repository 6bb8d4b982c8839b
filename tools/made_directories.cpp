#include "tools/made_directories.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "tools/open_without_links.hpp"

namespace sandbox_worker::tools {
namespace {

// Each is reached again from the first one's parent, without links, so the time grows with the square.
constexpr std::size_t kMaxRemoved = 2000;

}  // namespace

MadeDirectories::~MadeDirectories() {
  if (names_.size() > kMaxRemoved) return;
  std::string path;  // of the directory that the last name is in
  for (const auto& name : names_) path += name + '/';
  while (!names_.empty()) {
    path.resize(path.size() - names_.back().size() - 1);
    const UniqueFd parent = open_without_links(base_.get(), path, O_PATH | O_DIRECTORY);
    if (!parent || ::unlinkat(parent.get(), names_.back().c_str(), AT_REMOVEDIR) != 0) return;
    names_.pop_back();
  }
}

void MadeDirectories::add(int parent, const std::string& name, bool first) {
  if (first) {
    names_.clear();
    base_.reset(::fcntl(parent, F_DUPFD_CLOEXEC, 0));
  }
  if (base_) names_.push_back(name);
}

}  // namespace sandbox_worker::tools
