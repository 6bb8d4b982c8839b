#pragma once

#include <expected>
#include <string>

namespace sandbox_worker::protocol {

/// A peer's bytes that are not what wire.md says; one sentence for the log, without their content.
struct DecodeError {
  std::string message;
};

template <class T>
using Result = std::expected<T, DecodeError>;

}  // namespace sandbox_worker::protocol
