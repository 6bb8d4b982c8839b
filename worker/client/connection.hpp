#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "tools/unique_fd.hpp"
#include "worker/client/deadline.hpp"
#include "worker/client/tls.hpp"

namespace sandbox_worker::worker {

struct IoError {
  enum class Kind { timeout, closed, failed };
  Kind kind{};
  std::string reason;  // as the end of a sentence; empty for timeout
};

/// Takes a connection out of its list when the connection goes.
using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// One connected socket, plain or with TLS on it; destruction closes it. One operation at a time.
/// Cancelled: the operation throws operation_aborted; what was moved by then is unknown, so drop the
/// connection.
class Connection : public ConnectionHook {
 public:
  Connection(const boost::asio::any_io_executor& executor, tools::UniqueFd socket);

  /// `context` must outlive the handshake.
  boost::asio::awaitable<std::expected<void, IoError>> start_tls(ssl_ctx_st* context, std::string host,
                                                                 Deadline deadline);
  /// After a start_tls that failed.
  bool issuer_unknown() const { return tls_ && tls_->issuer_unknown(); }

  /// At least one byte, or 0 at the peer's orderly end.
  boost::asio::awaitable<std::expected<std::size_t, IoError>> read_some(char* data, std::size_t size,
                                                                        Deadline deadline);
  /// At least one byte.
  boost::asio::awaitable<std::expected<std::size_t, IoError>> write_some(std::string_view bytes,
                                                                         Deadline deadline);

  /// Ends the operation under way, and each later one, as `closed`: the peer may be gone without a word.
  void give_up();

  /// Open, with nothing to read. Never waits.
  bool is_quiet();

  /// For watching an idle connection.
  boost::asio::posix::stream_descriptor& descriptor() { return descriptor_; }

 private:
  template <class Attempt>
  boost::asio::awaitable<std::expected<std::size_t, IoError>> drive(Attempt attempt, Deadline deadline);

  boost::asio::posix::stream_descriptor descriptor_;
  std::unique_ptr<TlsSession> tls_;  // after descriptor_: its goodbye needs the socket
  int without_pause_ = 0;
  bool given_up_ = false;
};

/// Of connections that others own.
using ConnectionList = boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

}  // namespace sandbox_worker::worker
