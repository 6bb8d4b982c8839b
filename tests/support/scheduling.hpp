#pragma once

namespace sandbox_worker::testing {

/// Whether a thread of this process may ask for real-time priority.
bool may_run_ahead();

}  // namespace sandbox_worker::testing
