#include "tests/support/mount_namespace.hpp"

#include <sched.h>
#include <sys/mount.h>

#include "tests/support/on_a_thread.hpp"

namespace sandbox_worker::testing {

void in_mount_namespace(const std::function<void()>& body) {
  on_a_thread([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    body();
  });
}

}  // namespace sandbox_worker::testing
