#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tools/walk.hpp"

namespace sandbox_worker::tools {

/// The files of a tree in the order of their paths, byte by byte. Takes their names and 12 bytes for each.
class FileList {
 public:
  struct File {
    std::uint32_t directory;
    std::uint32_t name;
  };

  /// Lists what `walk` doesn't find ignored. `ignored` gets the number of ignored files seen on the way. When
  /// `deadline` passes, the list has no more than some of the files.
  static FileList collect(Walk& walk, const Deadline& deadline, std::uint64_t& ignored);

  const std::vector<File>& files() const noexcept { return files_; }
  /// Relative to the root: "" or "src/lib/".
  const std::string& directory(File file) const { return directories_[file.directory].path; }
  const char* name(File file) const { return directories_[file.directory].names.data() + file.name; }

 private:
  struct Directory {
    std::string path;
    std::string names;                   // each with its NUL
    std::vector<std::uint32_t> files{};  // offsets of names, in order
    std::vector<std::uint32_t> below{};  // indices of directories, in order
  };
  class Collector;

  void link(const Deadline& deadline);
  void flatten(const Deadline& deadline);

  std::vector<Directory> directories_;
  std::vector<File> files_;
};

}  // namespace sandbox_worker::tools
