#include "tools/foreground.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::tools;

TEST_CASE("foreground: where a child of the shell belongs") {
  struct Row {
    ChildFacts child;
    ChildPlace expected;
  };
  const Row rows[] = {
      {{.read_by_shell = true, .shell_waits = false, .in_newest = false, .no_job = false},
       ChildPlace::foreground},
      {{.read_by_shell = true, .shell_waits = true, .in_newest = false, .no_job = false},
       ChildPlace::foreground},
      {{.read_by_shell = false, .shell_waits = false, .in_newest = true, .no_job = true},
       ChildPlace::unknown},
      {{.read_by_shell = false, .shell_waits = false, .in_newest = false, .no_job = true},
       ChildPlace::unknown},
      {{.read_by_shell = false, .shell_waits = true, .in_newest = true, .no_job = true},
       ChildPlace::foreground},
      {{.read_by_shell = false, .shell_waits = true, .in_newest = true, .no_job = false},
       ChildPlace::background},
      {{.read_by_shell = false, .shell_waits = true, .in_newest = false, .no_job = true},
       ChildPlace::background},
      {{.read_by_shell = false, .shell_waits = true, .in_newest = false, .no_job = false},
       ChildPlace::background},
  };
  int row = 0;
  for (const auto& [child, expected] : rows) {
    CAPTURE(++row);
    CHECK(place_of(child) == expected);
  }
}
