#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sandbox_worker::testing {

/// A new directory, removed with all in it at the end. The path has no links in it.
class TempDir {
 public:
  TempDir();
  explicit TempDir(const std::filesystem::path& where);
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

  /// Makes directories on the way. Gives the whole path.
  std::string write(std::string_view name, std::string_view content) const;
  std::string make_dir(std::string_view name) const;
  void link(std::string_view name, const std::string& target) const;
  std::string read(std::string_view name) const;
  /// Names of all entries below, sorted, separated by spaces.
  std::string list() const;

 private:
  std::filesystem::path path_;
};

}  // namespace sandbox_worker::testing
