#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "protocol/event.hpp"

namespace sandbox_worker::worker {

/// The inputs of calls that wait for their turn, for a confirmation, or for the history to be read: 8 MB of
/// them in memory, the rest in a file without a name. An agent may make more calls than there is memory for,
/// and one held call must not keep the others out.
class InputStore {
 public:
  struct Limits {
    std::size_t memory = std::size_t{8} << 20U;  // of text; as values they take some times as much
    std::uint64_t file = std::uint64_t{1} << 30U;
  };

  /// `directory`: private; the file is made there when it is needed first.
  InputStore(boost::asio::any_io_executor pool, std::string directory, Limits limits);
  InputStore(boost::asio::any_io_executor pool, std::string directory)
      : InputStore(std::move(pool), std::move(directory), Limits()) {}

  /// From here on the call's input counts, until the call is gone. Where memory is full it goes into the
  /// file, and where that is full as well the call keeps the reason instead. Any thread; may write what it is
  /// given.
  void take_in(protocol::ToolUse& call);

  /// An input that isn't in memory, for a call that is about to run. The error is a sentence. `kept` keeps
  /// its room until it is gone.
  boost::asio::awaitable<std::expected<nlohmann::json, std::string>> bring_back(
      std::shared_ptr<protocol::KeptInput> kept);

  std::size_t memory_bytes() const;
  std::uint64_t file_bytes() const;

 private:
  struct State;
  class Kept;

  const std::shared_ptr<State> state_;  // shared with the calls, which may outlive us
};

}  // namespace sandbox_worker::worker
