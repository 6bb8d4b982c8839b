#pragma once

#include <sys/types.h>

namespace sandbox_worker::testing {

/// Lets the calling thread, and no other, act as a user without rights. ok() is false where that isn't
/// allowed; tests that run as such a user already may go on.
class AsUser {
 public:
  static constexpr uid_t kNobody = 65534;

  AsUser();
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  ~AsUser();

  bool ok() const { return ok_; }

 private:
  const uid_t before_;
  const bool ok_;
};

}  // namespace sandbox_worker::testing
