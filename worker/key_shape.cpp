#include "worker/key_shape.hpp"

#include <fmt/format.h>

#include "worker/client/error_text.hpp"

namespace sandbox_worker::worker {

bool holds_key(std::string_view value) {
  return value.contains("sk-ant-") || value.contains("whsec_");
}

std::string shown(std::string_view value) {
  if (value.contains("sk-") || value.contains("whsec_")) return "the value (not shown, it may hold a key)";
  return fmt::format("'{}'", one_line(value));
}

}  // namespace sandbox_worker::worker
