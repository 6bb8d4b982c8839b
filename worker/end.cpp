#include "worker/end.hpp"

namespace sandbox_worker::worker {

bool posts_results(EndReason reason) {
  return reason != EndReason::session_over && reason != EndReason::lease_lost;
}

int exit_status(EndReason reason) {
  switch (reason) {
    case EndReason::failed:
      return 1;
    case EndReason::lease_lost:
      return 3;
    default:
      return 0;
  }
}

}  // namespace sandbox_worker::worker
