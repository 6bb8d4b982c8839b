#pragma once

#include <string>
#include <utility>

#include "protocol/requests.hpp"

namespace sandbox_worker::testing {

/// A call's result that is one text.
inline protocol::CallResult result_of(std::string id, std::string text) {
  protocol::CallResult result;
  result.call_id = std::move(id);
  result.content.emplace_back(protocol::TextBlock{std::move(text)});
  return result;
}

}  // namespace sandbox_worker::testing
