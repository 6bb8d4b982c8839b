#include "tools/file_list.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sandbox_worker::tools {

class FileList::Collector final : public WalkVisitor {
 public:
  Collector(FileList& list, std::uint64_t& ignored, std::mutex& mutex)
      : list_(list), ignored_(ignored), mutex_(mutex) {}
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
    std::ranges::sort(now.files, [names](auto a, auto b) { return std::strcmp(names + a, names + b) < 0; });
  }

 private:
  FileList& list_;
  std::uint64_t& ignored_;
  std::mutex& mutex_;
  std::vector<Directory> found_;
  std::uint64_t ignored_here_ = 0;
};

FileList FileList::collect(Walk& walk, std::uint64_t& ignored) {
  FileList list;
  std::mutex mutex;
  walk.run([&] { return std::make_unique<Collector>(list, ignored, mutex); });
  list.link();
  list.flatten();
  return list;
}

void FileList::link() {
  std::unordered_map<std::string_view, std::uint32_t> index;
  index.reserve(directories_.size());
  for (std::uint32_t i = 0; i < directories_.size(); ++i) index.emplace(directories_[i].path, i);
  for (std::uint32_t i = 0; i < directories_.size(); ++i) {
    const std::string_view path = directories_[i].path;
    if (path.empty()) continue;
    const auto above = index.find(path.substr(0, path.rfind('/', path.size() - 2) + 1));
    if (above != index.end()) directories_[above->second].below.push_back(i);
  }
  for (auto& directory : directories_) {
    std::ranges::sort(directory.below, {},
                      [this](auto i) -> const std::string& { return directories_[i].path; });
  }
}

// Merges the files of each directory with what is below it: a directory sorts with its slash, as paths do.
void FileList::flatten() {
  struct Place {
    std::uint32_t directory;
    std::size_t file = 0;
    std::size_t below = 0;
  };
  const auto root = std::ranges::find(directories_, std::string(), &Directory::path);
  if (root == directories_.end()) return;
  std::vector<Place> places{{static_cast<std::uint32_t>(root - directories_.begin())}};
  while (!places.empty()) {
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
