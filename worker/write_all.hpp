#pragma once

#include <string_view>

namespace sandbox_worker::worker {

/// Writes all of `bytes`, however long the reader takes, also where somebody who shares the descriptor made
/// it non-blocking. 0, or the errno of a descriptor that refuses for good.
int write_all(int fd, std::string_view bytes);

}  // namespace sandbox_worker::worker
