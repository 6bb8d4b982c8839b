#include "tools/file_list.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sandbox_worker::tools {
namespace {

using Numbers = std::vector<std::uint32_t>;

// Steps between two looks at the deadline: less than a millisecond's work.
constexpr std::size_t kPerLook = 4096;

/// Merges two sorted ranges that follow each other. False: the deadline has passed.
bool merge(const Numbers& from, std::size_t left, std::size_t middle, std::size_t end, Numbers& to,
           const Deadline& deadline, const auto& less) {
  for (std::size_t right = middle; left < middle || right < end;) {
    if (to.size() % kPerLook == 0 && deadline.passed()) return false;
    const bool from_right = left == middle || (right < end && less(from[right], from[left]));
    to.push_back(from[from_right ? right++ : left++]);
  }
  return true;
}

/// A million names take half a second to sort, so it is done in pieces, with a look at the deadline in
/// between. When that has passed nothing is left.
void sort_in_pieces(Numbers& numbers, const Deadline& deadline, const auto& less) {
  for (std::size_t begin = 0; begin < numbers.size(); begin += kPerLook) {
    if (begin > 0 && deadline.passed()) return numbers.clear();
    const auto end = std::min(begin + kPerLook, numbers.size());
    std::sort(numbers.begin() + static_cast<std::ptrdiff_t>(begin),
              numbers.begin() + static_cast<std::ptrdiff_t>(end), less);
  }
  Numbers merged;
  for (std::size_t width = kPerLook; width < numbers.size(); width *= 2) {
    merged.clear();
    merged.reserve(numbers.size());
    for (std::size_t begin = 0; begin < numbers.size(); begin += 2 * width) {
      const auto middle = std::min(begin + width, numbers.size());
      const auto end = std::min(middle + width, numbers.size());
      if (!merge(numbers, begin, middle, end, merged, deadline, less)) return numbers.clear();
    }
    numbers.swap(merged);
  }
}

}  // namespace

class FileList::Collector final : public WalkVisitor {
 public:
  Collector(FileList& list, const Deadline& deadline, std::uint64_t& ignored, std::mutex& mutex)
      : list_(list), deadline_(deadline), ignored_(ignored), mutex_(mutex) {}
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  ~Collector() override {
    const std::scoped_lock lock(mutex_);
    auto& all = list_.directories_;
    all.insert(all.end(), std::make_move_iterator(found_.begin()), std::make_move_iterator(found_.end()));
    ignored_ += ignored_here_;
  }

  void enter(std::string_view path, int, bool) override {
    found_.push_back({.path = std::string(path), .names = {}});
  }

  bool wants(std::string_view, bool) override { return true; }

  void file(std::string_view name, bool ignored) override {
    if (ignored) {
      ++ignored_here_;
      return;
    }
    Directory& now = found_.back();
    now.files.push_back(static_cast<std::uint32_t>(now.names.size()));
    now.names.append(name.data(), name.size() + 1);
  }

  void leave() override {
    Directory& now = found_.back();
    now.names.shrink_to_fit();
    now.files.shrink_to_fit();
    const char* const names = now.names.data();
    sort_in_pieces(now.files, deadline_,
                   [names](auto a, auto b) { return std::strcmp(names + a, names + b) < 0; });
  }

 private:
  FileList& list_;
  const Deadline& deadline_;
  std::uint64_t& ignored_;
  std::mutex& mutex_;
  std::vector<Directory> found_;
  std::uint64_t ignored_here_ = 0;
};

FileList FileList::collect(Walk& walk, const Deadline& deadline, std::uint64_t& ignored) {
  FileList list;
  std::mutex mutex;
  walk.run([&] { return std::make_unique<Collector>(list, deadline, ignored, mutex); });
  list.link(deadline);
  list.flatten(deadline);
  return list;
}

void FileList::link(const Deadline& deadline) {
  std::unordered_map<std::string_view, std::uint32_t> index;
  index.reserve(directories_.size());
  for (std::uint32_t i = 0; i < directories_.size(); ++i) {
    if (i % kPerLook == 0 && deadline.passed()) return;
    index.emplace(directories_[i].path, i);
  }
  for (std::uint32_t i = 0; i < directories_.size(); ++i) {
    if (i % kPerLook == 0 && deadline.passed()) return;
    const std::string_view path = directories_[i].path;
    if (path.empty()) continue;
    const auto above = index.find(path.substr(0, path.rfind('/', path.size() - 2) + 1));
    if (above != index.end()) directories_[above->second].below.push_back(i);
  }
  for (auto& directory : directories_) {
    sort_in_pieces(directory.below, deadline,
                   [this](auto a, auto b) { return directories_[a].path < directories_[b].path; });
  }
}

// Merges the files of each directory with what is below it: a directory sorts with its slash, as paths do.
void FileList::flatten(const Deadline& deadline) {
  struct Place {
    std::uint32_t directory;
    std::size_t file = 0;
    std::size_t below = 0;
  };
  const auto root = std::ranges::find(directories_, std::string(), &Directory::path);
  if (root == directories_.end()) return;
  std::size_t count = 0;
  for (const Directory& directory : directories_) count += directory.files.size();
  files_.reserve(count);
  std::vector<Place> places{{static_cast<std::uint32_t>(root - directories_.begin())}};
  for (std::size_t steps = 0; !places.empty(); ++steps) {
    if (steps % kPerLook == 0 && deadline.passed()) return;
    Place& place = places.back();
    const Directory& now = directories_[place.directory];
    const auto next_below = [&] {
      return std::string_view(directories_[now.below[place.below]].path).substr(now.path.size());
    };
    const bool has_below = place.below < now.below.size();
    if (place.file < now.files.size() &&
        (!has_below || std::string_view(now.names.data() + now.files[place.file]) < next_below())) {
      files_.push_back({place.directory, now.files[place.file++]});
    } else if (has_below) {
      places.push_back({now.below[place.below++]});
    } else {
      places.pop_back();
    }
  }
}

}  // namespace sandbox_worker::tools
