#include "tests/support/as_user.hpp"

#include <sys/syscall.h>
#include <unistd.h>

namespace sandbox_worker::testing {
namespace {

// The C library's call would change every thread of the process.
bool set_effective_user(uid_t user) {
  constexpr auto kKeep = static_cast<uid_t>(-1);
  return ::syscall(SYS_setresuid, kKeep, user, kKeep) == 0;
}

}  // namespace

AsUser::AsUser() : before_(::geteuid()), ok_(before_ == 0 && set_effective_user(kNobody)) {}

AsUser::~AsUser() {
  if (ok_) set_effective_user(before_);
}

}  // namespace sandbox_worker::testing
