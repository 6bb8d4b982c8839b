#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/request.hpp"
#include "protocol/service_time.hpp"

namespace sandbox_worker::protocol {

/// Events a page, the most that the service gives (wire.md#history).
inline constexpr int kHistoryPageEvents = 1000;

/// Of a post. The service says nowhere what it takes; its public limit for messages is 32 MB, and the largest
/// document that `read` gives (20 MiB, 28 MB in base64) must pass. A larger body is refused by us in place of
/// being sent in vain.
inline constexpr std::size_t kMaxPostBytes = 30'000'000;

struct TextBlock {
  std::string text;
};
/// An image or a document; base64 is ASCII.
struct DataBlock {
  std::string type;  // image or document
  std::string media_type;
  std::string base64;
};
using ResultBlock = std::variant<TextBlock, DataBlock>;

/// The answer to one call as it goes over the wire (wire.md#results).
struct CallResult {
  std::string call_id;
  bool custom = false;
  bool is_error = false;
  std::vector<ResultBlock> content;
};

Request get_session(std::string_view session);
Request open_stream(std::string_view session);
/// `from`: only events that the service processed then or later. Given with every page.
Request get_history(std::string_view session, std::optional<ServiceTime> from,
                    const std::optional<std::string>& page);
/// One result as JSON. Texts are made valid UTF-8, and an empty one "(no output)": the service refuses both.
std::string encode_result(const CallResult& result);
/// The body that posts encoded results is this, they with commas between them, and this.
inline constexpr std::string_view kResultsBegin = R"({"events":[)";
inline constexpr std::string_view kResultsEnd = "]}";
Request post_results(std::string_view session, std::string body);
Request heartbeat(std::string_view environment, std::string_view work, std::string_view expected);
Request stop_work(std::string_view environment, std::string_view work);

/// Everything but the unreserved characters of RFC 3986 as %XX.
std::string percent_encode(std::string_view text);

}  // namespace sandbox_worker::protocol
