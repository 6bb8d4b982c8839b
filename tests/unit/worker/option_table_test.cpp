#include "worker/option_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

using namespace sandbox_worker::worker;

TEST_CASE("options: each flag, variable and foreign name stands for one thing") {
  std::set<std::string_view> names;
  for (const Option& option : option_table()) {
    CAPTURE(option.flag);
    CHECK(names.insert(option.flag).second);
    if (!option.variable.empty()) CHECK(names.insert(option.variable).second);
    for (const auto& foreign : option.foreign) CHECK(names.insert(foreign.name).second);
    CHECK(!option.help.empty());
  }
}

TEST_CASE("options: a variable of ours is its flag in capitals") {
  for (const Option& option : option_table()) {
    if (!option.variable.starts_with("SANDBOX_WORKER_")) continue;
    std::string name(option.flag.substr(2));
    std::ranges::transform(name, name.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    CHECK(option.variable == "SANDBOX_WORKER_" + name);
  }
}
