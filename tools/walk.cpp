#include "tools/walk.hpp"

#include <fcntl.h>

#include <utility>

#include "tools/fan_out.hpp"
#include "tools/open_without_links.hpp"

namespace sandbox_worker::tools {
namespace {

// Entries between two looks at the deadline; a directory of a million must not hold up a cancel.
constexpr unsigned kEntriesPerLook = 1024;

}  // namespace

// Rules may stand at the end of a listing and hold for its beginning, so the names are kept until all are
// read. A directory's names take a few kilobytes; one of a million files takes 30 MB while it is read.
struct Walk::Listing {
  struct Entry {
    std::uint32_t name;
    std::uint32_t length;
    EntryKind kind;
  };
  static constexpr std::size_t kKept = 1024 * 1024;  // bytes; what a huge directory took is given back

  DirectoryReader reader;
  std::string names;
  std::vector<Entry> entries;
  IgnoreFiles ignore_files;

  void read(int fd, const Deadline& deadline) {
    if (names.capacity() > kKept) {
      names = {};
      entries = {};
    }
    names.clear();
    entries.clear();
    ignore_files = {};
    reader.start(fd);
    for (DirectoryEntry entry{}; reader.next(entry);) {
      const std::string_view name = entry.name;
      if (name.front() == '.') ignore_files.see(name);
      if (entry.kind == EntryKind::other) continue;
      entries.push_back(
          {static_cast<std::uint32_t>(names.size()), static_cast<std::uint32_t>(name.size()), entry.kind});
      names.append(name.data(), name.size() + 1);
      if (entries.size() % kEntriesPerLook == 0 && deadline.passed()) return;
    }
  }
};

Walk::Walk(Options options, const Deadline& deadline) : options_(std::move(options)), deadline_(deadline) {
  waiting_.push_back({options_.outer.prefix, options_.outer.scope});
}

void Walk::run(const MakeVisitor& make) {
  fan_out(options_.pool, options_.threads, [&](unsigned) { drain(*make(), false); });
}

bool Walk::run_ignored(const MakeVisitor& make, std::int64_t max_entries) {
  if (ignored_.empty()) return true;
  waiting_ = std::exchange(ignored_, {});
  entries_left_ = max_entries;
  fan_out(options_.pool, options_.threads, [&](unsigned) { drain(*make(), true); });
  return entries_left_ >= 0;
}

void Walk::drain(WalkVisitor& visitor, bool ignored) {
  Listing listing;
  std::vector<Task> found;
  std::vector<Task> left_out;
  for (Task task; take(task);) {
    try {
      if (!deadline_.passed() && (!ignored || entries_left_ >= 0)) {
        read(task, ignored, visitor, listing, found, left_out);
      }
    } catch (...) {
      give({}, {});  // or the others would wait for this one
      throw;
    }
    give(std::exchange(found, {}), std::exchange(left_out, {}));
  }
}

bool Walk::take(Task& task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_.empty() || busy_ == 0; });
  if (waiting_.empty()) return false;
  task = std::move(waiting_.back());
  waiting_.pop_back();
  ++busy_;
  return true;
}

void Walk::give(std::vector<Task> found, std::vector<Task> ignored) {
  const std::scoped_lock lock(mutex_);
  --busy_;
  const std::size_t more = found.size();
  for (auto& task : found) waiting_.push_back(std::move(task));
  for (auto& task : ignored) ignored_.push_back(std::move(task));
  if (busy_ == 0 || more > 1) changed_.notify_all();
}

void Walk::read(const Task& task, bool ignored, WalkVisitor& visitor, Listing& listing,
                std::vector<Task>& found, std::vector<Task>& left_out) {
  const std::size_t prefix = options_.outer.prefix.size();
  const UniqueFd fd = open_without_links(options_.root, task.path.substr(prefix), O_RDONLY | O_DIRECTORY);
  if (!fd) return;
  listing.read(fd.get(), deadline_);
  if (ignored) entries_left_ -= static_cast<std::int64_t>(listing.entries.size());
  auto scope = ignored ? nullptr : read_scope(fd.get(), listing.ignore_files, task.path.size(), task.scope);
  visitor.enter(std::string_view(task.path).substr(prefix), fd.get(), ignored);
  std::string path = task.path;
  unsigned seen = 0;
  for (const auto& entry : listing.entries) {
    if (++seen % kEntriesPerLook == 0 && deadline_.passed()) break;
    const std::string_view name(listing.names.data() + entry.name, entry.length);
    const bool directory = entry.kind == EntryKind::directory;
    if (name == ".git" || !visitor.wants(name, directory)) continue;
    path.resize(task.path.size());
    path += name;
    const bool skipped =
        !ignored && ((directory && name == "node_modules") || is_ignored(scope.get(), path, name, directory));
    if (!directory) {
      visitor.file(name, ignored || skipped);
    } else {
      (skipped ? left_out : found).push_back({path + '/', skipped ? nullptr : scope});
    }
  }
  visitor.leave();
}

}  // namespace sandbox_worker::tools
