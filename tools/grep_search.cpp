#include "tools/grep_search.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include "tools/fan_out.hpp"
#include "tools/file_list.hpp"
#include "tools/match_text.hpp"
#include "tools/open_without_links.hpp"

namespace sandbox_worker::tools {
namespace {

// Files that a thread takes at once: enough to be seldom in each other's way, few enough to end together.
constexpr std::size_t kMaxFilesAtOnce = 32;
constexpr std::size_t kSharesOfThread = 32;
// Files that a thread searches in less time than another one takes to wake.
constexpr std::size_t kAlone = 16;
// A chunk over this size is handed on before its files are done.
constexpr std::size_t kMaxChunk = 1024 * 1024;
// Entries of ignored directories that are counted to say how many files were left out; some 50 ms.
constexpr std::int64_t kMaxIgnored = 100'000;

/// Collects the hits of one piece of the file list.
class Piece {
 public:
  Piece(OrderedOutput& output, std::uint64_t number) : output_(output), number_(number) {}

  void begin_file() { file_ = {.bytes = chunk_.text.size(), .lines = 0, .continued = false}; }

  void add(std::string_view path, const FileHit& hit) {
    file_.lines += append_match(chunk_.text, path, hit);
    if (chunk_.text.size() < kMaxChunk) return;
    end_file();
    output_.add(number_, std::exchange(chunk_, {}));
    file_ = {.bytes = 0, .lines = 0, .continued = true};
  }

  void end_file() {
    if (file_.lines == 0) return;
    file_.bytes = chunk_.text.size() - file_.bytes;
    chunk_.files.push_back(file_);
  }

  void finish() { output_.finish(number_, std::move(chunk_)); }

 private:
  OrderedOutput& output_;
  const std::uint64_t number_;
  MatchChunk chunk_;
  MatchChunk::File file_{};  // `bytes` is where it begins until it ends
};

void count(GrepCounts& counts, FileOutcome outcome, const FileSearcher& searcher) {
  if (outcome == FileOutcome::searched) ++counts.searched;
  if (outcome == FileOutcome::binary) ++counts.binary;
  if (outcome == FileOutcome::unreadable) ++counts.unreadable;
  if (searcher.sure() != kEndless) ++counts.in_pieces;
  counts.sure = std::min(counts.sure, searcher.sure());
}

/// The directories that were opened last. In the order of the paths a directory's files surround those of its
/// subdirectories, so one is often asked for again.
class OpenDirectories {
 public:
  struct Place {
    UniqueFd fd;  // none: it can't be opened
    bool full_reads = false;
  };

  OpenDirectories(int root, const FileList& list) : root_(root), list_(list) {}

  const Place& of(FileList::File file) {
    Slot& slot = slots_[file.directory % slots_.size()];
    if (!slot.used || slot.directory != file.directory) {
      slot.place.fd = open_without_links(root_, list_.directory(file), O_PATH | O_DIRECTORY);
      slot.place.full_reads = slot.place.fd && gives_full_reads(slot.place.fd.get());
      slot.directory = file.directory;
      slot.used = true;
    }
    return slot.place;
  }

 private:
  struct Slot {
    bool used = false;
    std::uint32_t directory = 0;
    Place place;
  };

  const int root_;
  const FileList& list_;
  std::array<Slot, 8> slots_;
};

/// One thread's share of a search through a list of files.
class Worker {
 public:
  Worker(const LineSearch& search, const SearchPlace& place, const Deadline& deadline, const FileList& list)
      : search_(search),
        place_(place),
        deadline_(deadline),
        list_(list),
        at_once_(std::clamp<std::size_t>(list.files().size() / (place.threads * kSharesOfThread), 1,
                                         kMaxFilesAtOnce)),
        directories_(place.fd.get(), list) {}

  GrepCounts run(std::atomic<std::uint64_t>& next, OrderedOutput& output) {
    GrepCounts counts;
    const auto& files = list_.files();
    for (std::uint64_t number = next++; number * at_once_ < files.size(); number = next++) {
      Piece piece(output, number);
      const std::size_t end = std::min<std::size_t>(files.size(), (number + 1) * at_once_);
      try {
        for (std::size_t i = number * at_once_; i < end && !deadline_.passed(); ++i) {
          search_file(files[i], piece, counts);
        }
      } catch (...) {
        piece.finish();  // or the others would wait for it
        throw;
      }
      piece.finish();
      if (deadline_.has_cut()) break;
    }
    return counts;
  }

 private:
  void search_file(FileList::File file, Piece& piece, GrepCounts& counts) {
    const auto& directory = directories_.of(file);
    const char* const name = list_.name(file);
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const UniqueFd fd(directory.fd ? ::openat(directory.fd.get(), name, kFlags) : -1);
    if (!fd) return void(++counts.unreadable);
    searcher_.expect_full_reads(directory.full_reads);
    piece.begin_file();
    path_.clear();
    const auto outcome = searcher_.search(fd.get(), search_, deadline_, [&](const FileHit& hit) {
      if (path_.empty()) path_ = shown_path(place_.below(list_.directory(file) + name));
      piece.add(path_, hit);
    });
    piece.end_file();
    count(counts, outcome, searcher_);
  }

  const LineSearch& search_;
  const SearchPlace& place_;
  const Deadline& deadline_;
  const FileList& list_;
  const std::size_t at_once_;  // files

  FileSearcher searcher_;
  OpenDirectories directories_;
  std::string path_;
};

class IgnoredCounter final : public WalkVisitor {
 public:
  explicit IgnoredCounter(std::atomic<std::uint64_t>& files) : files_(files) {}
  void enter(std::string_view, int, bool) override {}
  bool wants(std::string_view, bool) override { return true; }
  void file(std::string_view, bool) override { ++files_; }

 private:
  std::atomic<std::uint64_t>& files_;
};

GrepCounts grep_file(const LineSearch& search, const SearchPlace& place, const Deadline& deadline,
                     OrderedOutput& output) {
  GrepCounts counts;
  Piece piece(output, 0);
  piece.begin_file();
  FileSearcher searcher;
  const std::string path = shown_path(place.path);
  const auto outcome =
      searcher.search(place.fd.get(), search, deadline, [&](const FileHit& hit) { piece.add(path, hit); });
  count(counts, outcome, searcher);
  piece.end_file();
  piece.finish();
  counts.error = searcher.error();
  return counts;
}

void add_up(GrepCounts& all, const GrepCounts& some) {
  all.searched += some.searched;
  all.binary += some.binary;
  all.unreadable += some.unreadable;
  all.in_pieces += some.in_pieces;
  all.sure = std::min(all.sure, some.sure);
}

}  // namespace

GrepCounts grep(const LineSearch& search, const SearchPlace& place, const Deadline& deadline,
                const OrderedOutput::Sink& sink) {
  bool found = false;
  OrderedOutput output([&](const MatchChunk& chunk) {
    found = true;
    sink(chunk);
  });
  if (!place.directory) return grep_file(search, place, deadline, output);
  GrepCounts counts;
  // Listing an endless tree may not take all the time, or nothing would be found.
  const Deadline listing = deadline.half();
  Walk walk({.root = place.fd.get(), .outer = place.outer, .threads = place.threads}, listing);
  const FileList list = FileList::collect(walk, deadline, counts.ignored);
  const bool all_listed = !listing.has_cut();
  counts.unreadable_directories = walk.unreadable();
  counts.rules_left_out = walk.rules_left_out();
  std::atomic<std::uint64_t> next = 0;
  std::mutex mutex;
  fan_out(list.files().size() > kAlone ? place.threads : 1, [&](unsigned) {
    const GrepCounts own = Worker(search, place, deadline, list).run(next, output);
    const std::scoped_lock lock(mutex);
    add_up(counts, own);
  });
  if (!found) {
    std::atomic<std::uint64_t> ignored = 0;
    const bool all = walk.run_ignored([&] { return std::make_unique<IgnoredCounter>(ignored); }, kMaxIgnored);
    counts.more_ignored = !all || listing.has_cut();
    counts.ignored += ignored;
  }
  if (!all_listed) deadline.cut();
  return counts;
}

}  // namespace sandbox_worker::tools
