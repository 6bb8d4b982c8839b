#include "tests/support/git_ignore.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tests/support/temp_dir.hpp"
#include "tools/ignore_files.hpp"
#include "tools/walk.hpp"

namespace sandbox_worker::testing {
namespace {

using namespace tools;

/// Notes every file of a walk and whether it is ignored.
class Recorder final : public WalkVisitor {
 public:
  Recorder(std::map<std::string, bool>& files, std::string from) : files_(files), from_(std::move(from)) {}
  void enter(std::string_view path, int, bool) override { path_ = from_ + std::string(path); }
  bool wants(std::string_view, bool) override { return true; }
  void file(std::string_view name, bool ignored) override { files_[path_ + std::string(name)] = ignored; }

 private:
  std::map<std::string, bool>& files_;
  const std::string from_;
  std::string path_;
};

}  // namespace

std::map<std::string, bool> walk_with_rules(const std::filesystem::path& root, const std::string& home,
                                            const std::string& from) {
  std::map<std::string, bool> files;
  const Deadline deadline;
  const std::string directory = from.empty() ? root.string() : (root / from).string();
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY));
  auto user = read_user_excludes({.home = home, .xdg_config = "", .system = ""});
  auto outer = read_outer_scope(directory, std::move(user), [&](const std::string& above) {
    const bool inside = above.starts_with(root.string());
    return inside ? UniqueFd(::open(above.c_str(), O_RDONLY | O_DIRECTORY)) : UniqueFd();
  });
  Walk walk({.root = fd.get(), .outer = std::move(outer), .threads = 1}, deadline);
  const auto make = [&] { return std::make_unique<Recorder>(files, from.empty() ? "" : from + "/"); };
  walk.run(make);
  if (!walk.run_ignored(make, 10'000'000)) throw std::runtime_error("more ignored files than were looked at");
  return files;
}

std::set<std::string> ignored_by_git(const std::filesystem::path& root, const std::filesystem::path& home,
                                     const std::map<std::string, bool>& files) {
  const TempDir dir;
  const std::string list = dir / "list";
  {
    std::ofstream out(list, std::ios::binary);
    for (const auto& [path, ignored] : files) out << path << '\0';
  }
  const std::string command = "cd '" + root.string() + "' && HOME='" + home.string() +
                              "' GIT_CONFIG_NOSYSTEM=1 git check-ignore --no-index -z --stdin <'" + list +
                              "'";
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("can't run git");
  std::set<std::string> ignored;
  std::string path;
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) {
    if (c != 0) {
      path += static_cast<char>(c);
    } else {
      ignored.insert(std::exchange(path, {}));
    }
  }
  const int status = ::pclose(pipe);  // 1: none is ignored
  if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) throw std::runtime_error("git check-ignore failed");
  return ignored;
}

}  // namespace sandbox_worker::testing
