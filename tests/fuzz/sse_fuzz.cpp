// The SSE decoder gives the same events for the same bytes, however they are cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/sse.hpp"

using sandbox_worker::protocol::SseDecoder;
using sandbox_worker::protocol::SseEvent;

namespace {

std::vector<std::string> events_of(std::string_view bytes, std::size_t step) {
  SseDecoder decoder(64);
  std::vector<std::string> events;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    decoder.feed(bytes.substr(at, step), [&](SseEvent event) {
      events.push_back(event.name + "|" + event.data + (event.oversized ? "|oversized" : ""));
    });
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (events_of(bytes, 1 + data[0] % 16) != events_of(bytes, bytes.size() + 1)) std::abort();
  return 0;
}
