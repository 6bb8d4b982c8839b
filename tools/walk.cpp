#include "tools/walk.hpp"

#include <fcntl.h>

#include <cerrno>
#include <limits>
#include <utility>

#include "tools/fan_out.hpp"
#include "tools/open_without_links.hpp"

namespace sandbox_worker::tools {
namespace {

// Entries between two looks at the deadline; a directory of a million must not hold up a cancel.
constexpr unsigned kEntriesPerLook = 1024;
// Entries of a directory that are kept at once; some 400 KB. Few directories have more.
constexpr std::size_t kMaxListed = 16 * 1024;
// Directories that one thread reads before it asks for help: in less time than another one takes to wake.
constexpr std::size_t kAlone = 32;

}  // namespace

// Rules may stand at the end of a listing and hold for its beginning, so the entries are kept until all are
// read. Where they are too many for that, the files with the rules are asked for by their names.
struct Walk::Listing {
  struct Entry {
    std::uint32_t name;
    std::uint32_t length;
    EntryKind kind;
  };

  DirectoryReader reader;
  std::string names;
  std::vector<Entry> entries;
  IgnoreFiles ignore_files;
  bool more = false;  // entries of the directory, after these

  void start(int fd) {
    reader.start(fd);
    ignore_files = {};
    read_on();
    if (more) ignore_files = IgnoreFiles::in(fd);
  }

  void read_on() {
    names.clear();
    entries.clear();
    more = false;
    for (DirectoryEntry entry{}; reader.next(entry);) {
      const std::string_view name = entry.name;
      if (name.front() == '.') ignore_files.see(name);
      if (entry.kind == EntryKind::other) continue;
      entries.push_back(
          {static_cast<std::uint32_t>(names.size()), static_cast<std::uint32_t>(name.size()), entry.kind});
      names.append(name.data(), name.size() + 1);
      more = entries.size() == kMaxListed;
      if (more) return;
    }
  }
};

struct Walk::Found {
  Group wanted;
  Group ignored;
  std::size_t count = 0;  // of the wanted
};

Walk::Walk(Options options, const Deadline& deadline) : options_(std::move(options)), deadline_(deadline) {
  waiting_.push_back({options_.outer.prefix, std::string(1, '\0'), options_.outer.scope});
}

void Walk::run(const MakeVisitor& make) {
  walk(make, false);
}

bool Walk::run_ignored(const MakeVisitor& make, std::int64_t max_entries) {
  if (ignored_.empty()) return true;
  waiting_ = std::exchange(ignored_, {});
  entries_left_ = max_entries;
  walk(make, true);
  return entries_left_ >= 0;
}

void Walk::walk(const MakeVisitor& make, bool ignored) {
  if (drain(*make(), ignored, kAlone)) return;
  constexpr auto kAll = std::numeric_limits<std::size_t>::max();
  fan_out(options_.threads, [&](unsigned) { drain(*make(), ignored, kAll); });
}

bool Walk::drain(WalkVisitor& visitor, bool ignored, std::size_t most) {
  Listing listing;
  for (Task task; most > 0; --most) {
    if (!take(task)) return true;
    Found found;
    try {
      if (!deadline_.passed() && (!ignored || entries_left_ >= 0)) {
        read(task, ignored, visitor, listing, found);
      }
    } catch (...) {
      give({});  // or the others would wait for this one
      throw;
    }
    give(std::move(found));
  }
  return false;
}

bool Walk::take(Task& task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_.empty() || busy_ == 0; });
  if (waiting_.empty()) return false;
  Group& group = waiting_.back();
  const std::string_view name = group.names.data() + group.next;
  group.next += name.size() + 1;
  task.path.assign(group.path).append(name);
  task.scope = group.scope;
  if (group.next == group.names.size()) waiting_.pop_back();
  ++busy_;
  return true;
}

void Walk::give(Found found) {
  const std::scoped_lock lock(mutex_);
  --busy_;
  if (found.count > 0) waiting_.push_back(std::move(found.wanted));
  if (!found.ignored.names.empty()) ignored_.push_back(std::move(found.ignored));
  // One is for the thread that found it.
  if (busy_ == 0 || found.count > 1) changed_.notify_all();
}

void Walk::read(const Task& task, bool ignored, WalkVisitor& visitor, Listing& listing, Found& found) {
  const std::size_t prefix = options_.outer.prefix.size();
  const UniqueFd fd = open_without_links(options_.root, task.path.substr(prefix), O_RDONLY | O_DIRECTORY);
  if (!fd) {
    // One that is gone or no directory any more was changed meanwhile.
    if (!ignored && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) ++unreadable_;
    return;
  }
  listing.start(fd.get());
  auto scope = ignored ? nullptr : scope_of(task, fd.get(), listing.ignore_files);
  if (scope && scope->room.left_out) rules_left_out_ = true;
  visitor.enter(std::string_view(task.path).substr(prefix), fd.get(), ignored);
  visit(listing, task, scope, ignored, visitor, found);
  while (listing.more && !deadline_.passed() && (!ignored || entries_left_ >= 0)) {
    listing.read_on();
    visit(listing, task, scope, ignored, visitor, found);
  }
  visitor.leave();
  found.wanted.path = task.path;
  found.wanted.scope = std::move(scope);
  found.ignored.path = task.path;
}

Walk::Scope Walk::scope_of(const Task& task, int fd, IgnoreFiles present) const {
  if (task.path.size() == options_.outer.prefix.size()) return read_root_scope(fd, present, options_.outer);
  return read_scope(fd, present, task.path.size(), task.scope);
}

void Walk::visit(const Listing& listing, const Task& task, const Scope& scope, bool ignored,
                 WalkVisitor& visitor, Found& found) {
  if (ignored) entries_left_ -= static_cast<std::int64_t>(listing.entries.size());
  std::string path = task.path;
  unsigned seen = 0;
  for (const auto& entry : listing.entries) {
    if (++seen % kEntriesPerLook == 0 && deadline_.passed()) return;
    const std::string_view name(listing.names.data() + entry.name, entry.length);
    const bool directory = entry.kind == EntryKind::directory;
    if (name == ".git" || !visitor.wants(name, directory)) continue;
    path.resize(task.path.size());
    path += name;
    const bool skipped =
        !ignored && ((directory && name == "node_modules") || is_ignored(scope.get(), path, name, directory));
    if (entry.kind == EntryKind::file) {
      visitor.file(name, ignored || skipped);
    } else if (entry.kind == EntryKind::link) {
      visitor.link(name, ignored || skipped);
    } else {
      std::string& names = (skipped ? found.ignored : found.wanted).names;
      names.append(name).append("/", 2);
      if (!skipped) ++found.count;
    }
  }
}

}  // namespace sandbox_worker::tools
