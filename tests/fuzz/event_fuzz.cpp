// Events and history pages of any bytes are read or refused, without a crash and without an exception.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/event.hpp"
#include "protocol/history.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sandbox_worker::protocol;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)parse_event(bytes);
  HistoryPageReader reader(256, {[](TimedEvent) {}, [](std::string) {}});
  for (std::size_t at = 0; at < bytes.size(); at += 7) reader.feed(bytes.substr(at, 7));
  (void)reader.finish();
  return 0;
}
