#include "tools/glob_search.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <mutex>
#include <tuple>
#include <utility>

#include "tools/walk.hpp"

namespace sandbox_worker::tools {
namespace {

// Entries of ignored directories that are looked through to say how many files were left out; some 20 ms.
constexpr std::int64_t kMaxIgnored = 20'000;

bool newer(const GlobHit& a, const GlobHit& b) {
  return std::tie(b.modified, a.path) < std::tie(a.modified, b.path);
}

/// The newest hits of any number, in bounded memory.
class Newest {
 public:
  explicit Newest(std::size_t max) : max_(max) {}

  /// Whether a file of that time could be among them.
  bool may_take(FileTime modified) const { return modified >= oldest_; }

  void add(GlobHit hit) {
    hits_.push_back(std::move(hit));
    if (hits_.size() / 2 >= max_) cut();
  }

  std::vector<GlobHit> take() {
    cut();
    std::ranges::sort(hits_, newer);
    return std::move(hits_);
  }

 private:
  void cut() {
    if (hits_.size() <= max_) return;
    const auto end = hits_.begin() + static_cast<std::ptrdiff_t>(max_);
    std::nth_element(hits_.begin(), end - (max_ > 0 ? 1 : 0), hits_.end(), newer);
    hits_.erase(end, hits_.end());
    if (max_ > 0) oldest_ = hits_.back().modified;
  }

  const std::size_t max_;
  FileTime oldest_{.seconds = INT64_MIN, .nanoseconds = 0};
  std::vector<GlobHit> hits_;
};

struct Shared {
  std::mutex mutex;  // guards all below
  Newest newest;
  std::uint64_t total = 0;
  std::uint64_t ignored = 0;
};

class Matcher final : public WalkVisitor {
 public:
  Matcher(const GlobPattern& pattern, bool named, const SearchPlace& place, const Workspace& workspace,
          std::size_t max_kept, Shared& shared)
      : cursor_(pattern),
        named_(named),
        place_(place),
        workspace_(workspace),
        newest_(max_kept),
        shared_(shared) {}
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  ~Matcher() override {
    const std::scoped_lock lock(shared_.mutex);
    for (auto& hit : newest_.take()) shared_.newest.add(std::move(hit));
    shared_.total += total_;
    shared_.ignored += ignored_;
  }

  void enter(std::string_view path, int fd, bool) override {
    cursor_.enter(path);
    path_ = path;
    fd_ = fd;
  }

  bool wants(std::string_view name, bool directory) override {
    return directory ? cursor_.may_contain(name) : cursor_.matches(name);
  }

  void file(std::string_view name, bool ignored) override {
    if (ignored && !named_) {
      ++ignored_;
      return;
    }
    struct statx status;
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): it ends in NUL
    if (::statx(fd_, name.data(), AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_MTIME, &status) == 0)
      add(name, status.stx_mtime);
  }

  void link(std::string_view name, bool ignored) override {
    const auto target = workspace_.open_file(place_.below(std::string(path_) += name), O_PATH);
    struct statx status;
    if (!target || ::statx(target->fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MTIME,
                           &status) != 0)
      return;
    if (!S_ISREG(status.stx_mode)) return;
    if (ignored && !named_)
      ++ignored_;
    else
      add(name, status.stx_mtime);
  }

 private:
  void add(std::string_view name, const statx_timestamp& time) {
    ++total_;
    const FileTime modified{.seconds = time.tv_sec, .nanoseconds = time.tv_nsec};
    if (newest_.may_take(modified)) newest_.add({modified, std::string(path_) += name});
  }

  GlobCursor cursor_;
  const bool named_;
  const SearchPlace& place_;
  const Workspace& workspace_;
  Newest newest_;
  Shared& shared_;
  std::string_view path_;
  int fd_ = -1;
  std::uint64_t total_ = 0;
  std::uint64_t ignored_ = 0;
};

}  // namespace

GlobHits glob(const GlobPattern& pattern, bool named, const SearchPlace& place, const Workspace& workspace,
              const Deadline& deadline, std::size_t max_kept) {
  Shared shared{.mutex = {}, .newest = Newest(max_kept)};
  Walk walk({.root = place.fd.get(), .outer = place.outer, .threads = place.threads}, deadline);
  const auto make = [&] {
    return std::make_unique<Matcher>(pattern, named, place, workspace, max_kept, shared);
  };
  walk.run(make);
  const auto unreadable = walk.unreadable();
  const bool all = walk.run_ignored(make, kMaxIgnored);
  return {.newest = shared.newest.take(),
          .total = shared.total,
          .ignored = shared.ignored,
          .more_ignored = !all,
          .unreadable = unreadable,
          .rules_left_out = walk.rules_left_out()};
}

}  // namespace sandbox_worker::tools
