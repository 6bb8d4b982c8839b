#pragma once

#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.hpp"
#include "tools/search_place.hpp"
#include "tools/tool_result.hpp"
#include "tools/workspace.hpp"

namespace sandbox_worker::testing {

/// A new, empty workdir and what glob and grep need to search it.
struct SearchTools {
  SearchTools() = default;
  explicit SearchTools(const std::filesystem::path& where) : dir(where) {}

  /// Where thousands of files are made and removed in no time.
  static std::filesystem::path in_memory() {
    const std::filesystem::path shm = "/dev/shm";
    return std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path();
  }

  TempDir dir;
  std::string root = std::filesystem::canonical(dir.path()).string();
  tools::Workspace workspace = tools::Workspace::open(root, {}).value();
  boost::asio::thread_pool pool{3};
  tools::SearchOptions options{.workspace = &workspace,
                               .pool = pool.get_executor(),
                               .limits = {},
                               .threads = 3,
                               .home = "",
                               .xdg_config = "",
                               .spill = nullptr};

  void write(const std::string& path, const std::string& text) const {
    const auto full = std::filesystem::path(root) / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << text;
  }

  /// The directory `a`, whose rules are one more than are kept: they ignore its file out-49999, but no longer
  /// out-50000. Beside it b/c. Each file has a line "x".
  void write_too_many_rules() const {
    std::string rules;
    for (int i = 0; i < 50'001; ++i) rules += "out-" + std::to_string(i) + "\n";
    write("a/.gitignore", rules);
    for (const char* path : {"a/out-49999", "a/out-50000", "b/c"}) write(path, "x\n");
  }

  static std::string text_of(const tools::ToolResult& result) {
    std::string text = result.is_error ? "error: " : "";
    return text + std::get<tools::TextContent>(result.content.at(0)).text;
  }

  /// `text` without the workdir in front of the paths.
  std::string relative(std::string text) const {
    for (std::size_t at = 0; (at = text.find(root + "/", at)) != std::string::npos;)
      text.erase(at, root.size() + 1);
    return text;
  }
};

}  // namespace sandbox_worker::testing
