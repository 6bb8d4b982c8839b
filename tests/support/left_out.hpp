#pragma once

#include <string_view>

namespace sandbox_worker::testing {

/// For a test that finds that this machine doesn't let it run. It fails, unless whoever runs the tests said
/// so by SANDBOX_TESTS_WITHOUT_<thing>=1 (README.md has the names): a test that is left out by accident would
/// look like one that passes.
void leave_out(std::string_view thing);

}  // namespace sandbox_worker::testing
