#pragma once

#include <functional>

namespace sandbox_worker::testing {

/// Runs `body` on a thread of its own with mounts of its own, which what it starts has as well. Does nothing
/// where that is not allowed.
void in_mount_namespace(const std::function<void()>& body);

}  // namespace sandbox_worker::testing
