// Compares the walker's ignore rules with git's on one tree: check_ignore DIRECTORY. Every file below it is
// asked about; those that the two don't agree on are printed.

#include <filesystem>
#include <iostream>

#include "tests/support/git_ignore.hpp"

using namespace sandbox_worker::testing;

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "usage: check_ignore DIRECTORY\n", 2;
  const auto root = std::filesystem::canonical(argv[1]);
  const auto files = walk_with_rules(root);
  const auto expected = ignored_by_git(root, "/nonexistent", files);
  std::size_t wrong = 0;
  for (const auto& [path, ignored] : files) {
    if (ignored == expected.contains(path)) continue;
    if (++wrong <= 20) std::cout << path << (ignored ? ": ignored here, not by git\n" : ": ignored by git\n");
  }
  std::cout << files.size() << " files, " << expected.size() << " ignored by git, " << wrong
            << " that the two don't agree on\n";
  return wrong == 0 && !files.empty() ? 0 : 1;
}
