#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tools/deadline.hpp"
#include "tools/directory_reader.hpp"
#include "tools/ignore_files.hpp"

namespace sandbox_worker::tools {

/// What one thread of a walk does with what it meets. Calls come in the order enter, (wants | file | link)*,
/// leave.
class WalkVisitor {
 public:
  virtual ~WalkVisitor() = default;

  /// `path` is relative to where the walk began: "" or "src/lib/". `ignored`: the walk is below an ignored
  /// directory. Both stay valid until leave().
  virtual void enter(std::string_view path, int fd, bool ignored) = 0;
  /// Whether to go into a directory, or to ask the rules about another entry and give it to file() or link().
  virtual bool wants(std::string_view name, bool directory) = 0;
  /// A regular file that is wanted; `name` ends in NUL. `ignored` by a rule or because its directory is.
  virtual void file(std::string_view name, bool ignored) = 0;
  /// A symbolic link, wherever it leads: the same.
  virtual void link(std::string_view, bool) {}
  virtual void leave() {}
};

/// Walks a tree on several threads: regular files, directories and links, of which none is followed, .git is
/// skipped, node_modules and what git would ignore are left for a second round. Memory grows with the names
/// of the directories that wait to be read, not with the number of files.
class Walk {
 public:
  using MakeVisitor = std::function<std::unique_ptr<WalkVisitor>()>;

  struct Options {
    int root = -1;     // a directory, kept open by the caller
    OuterScope outer;  // the rules that hold there
    unsigned threads = 1;
  };

  Walk(Options options, const Deadline& deadline);

  /// Visits everything that is not ignored. `make` makes visitors; each is used on the thread that made it.
  void run(const MakeVisitor& make);

  /// Visits what is below the ignored directories that run() met, up to `max_entries` of their entries.
  /// False: there was more.
  bool run_ignored(const MakeVisitor& make, std::int64_t max_entries);

  /// Directories that run() was to visit and couldn't read, for want of rights or such.
  std::uint64_t unreadable() const noexcept { return unreadable_; }
  /// Whether rules were too many to be kept, so that ignored files may have been visited.
  bool rules_left_out() const noexcept { return rules_left_out_; }

 private:
  using Scope = std::shared_ptr<const IgnoreScope>;

  /// One directory to read.
  struct Task {
    std::string path;  // from the outermost scope on
    Scope scope;
  };
  /// Directories of one directory, which wait.
  struct Group {
    std::string path;   // of the directory that they are in
    std::string names;  // each with its slash and a NUL
    Scope scope;
    std::size_t next = 0;  // in `names`
  };
  struct Listing;  // some of a directory's entries
  struct Found;    // what one directory gives to wait

  void walk(const MakeVisitor& make, bool ignored);
  /// Reads directories, up to `most`. True: there are no more.
  bool drain(WalkVisitor& visitor, bool ignored, std::size_t most);
  bool take(Task& task);
  void give(Found found);
  void read(const Task& task, bool ignored, WalkVisitor& visitor, Listing& listing, Found& found);
  Scope scope_of(const Task& task, int fd, IgnoreFiles present) const;
  void visit(const Listing& listing, const Task& task, const Scope& scope, bool ignored, WalkVisitor& visitor,
             Found& found);

  const Options options_;
  const Deadline& deadline_;
  std::atomic<std::int64_t> entries_left_ = 0;  // of the second round
  std::atomic<std::uint64_t> unreadable_ = 0;
  std::atomic<bool> rules_left_out_ = false;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<Group> waiting_;  // a stack: depth first keeps it short
  std::vector<Group> ignored_;
  std::size_t busy_ = 0;
};

}  // namespace sandbox_worker::tools
