#include "worker/client/connection.hpp"

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>

#include "worker/client/error_text.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// Operations that succeed at once before other work gets its turn: with 16 KiB each, some 100 µs.
constexpr int kFairShare = 8;

constexpr const char* kGivenUp = "given up after an absence of this process";

IoStep socket_step(ssize_t count, int error, IoStep::Kind again) {
  using Kind = IoStep::Kind;
  if (count >= 0) return {.kind = Kind::done, .bytes = static_cast<std::size_t>(count), .reason = {}};
  if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)
    return {.kind = again, .bytes = 0, .reason = {}};
  return {.kind = Kind::closed, .bytes = 0, .reason = errno_text(error)};
}

IoStep plain_read(int fd, char* data, std::size_t size, int flags) {
  const auto count = ::recv(fd, data, size, flags);
  if (count == 0) return {.kind = IoStep::Kind::end, .bytes = 0, .reason = {}};
  return socket_step(count, errno, IoStep::Kind::want_read);
}

IoStep plain_write(int fd, std::string_view bytes) {
  const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return socket_step(count, errno, IoStep::Kind::want_write);
}

}  // namespace

Connection::Connection(const asio::any_io_executor& executor, tools::UniqueFd socket)
    : descriptor_(executor, socket.release()) {}

template <class Attempt>
asio::awaitable<std::expected<std::size_t, IoError>> Connection::drive(Attempt attempt, Deadline deadline) {
  for (;;) {
    if (given_up_) co_return std::unexpected(IoError{IoError::Kind::closed, kGivenUp});
    IoStep step = attempt();
    switch (step.kind) {
      case IoStep::Kind::done:
        if (++without_pause_ >= kFairShare) {
          without_pause_ = 0;
          co_await asio::post(descriptor_.get_executor(), asio::use_awaitable);
        }
        co_return step.bytes;
      case IoStep::Kind::end:
        co_return std::size_t{0};
      case IoStep::Kind::closed:
        co_return std::unexpected(IoError{IoError::Kind::closed, std::move(step.reason)});
      case IoStep::Kind::failed:
        co_return std::unexpected(IoError{IoError::Kind::failed, std::move(step.reason)});
      case IoStep::Kind::want_read:
      case IoStep::Kind::want_write:
        break;
    }
    without_pause_ = 0;
    const Want want = step.kind == IoStep::Kind::want_read ? Want::read : Want::write;
    bool ready = false;
    try {
      ready = co_await wait_ready(descriptor_, want, deadline);
    } catch (const boost::system::system_error&) {
      if (!given_up_) throw;
    }
    if (!ready && !given_up_) co_return std::unexpected(IoError{IoError::Kind::timeout, {}});
  }
}

asio::awaitable<std::expected<void, IoError>> Connection::start_tls(ssl_ctx_st* context, std::string host,
                                                                    Deadline deadline) {
  tls_ = std::make_unique<TlsSession>(context, descriptor_.native_handle(), host);
  auto done = co_await drive([this] { return tls_->handshake(); }, deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return std::expected<void, IoError>();
}

asio::awaitable<std::expected<std::size_t, IoError>> Connection::read_some(char* data, std::size_t size,
                                                                           Deadline deadline) {
  return drive(
      [this, data, size] {
        return tls_ ? tls_->read(data, size) : plain_read(descriptor_.native_handle(), data, size, 0);
      },
      deadline);
}

asio::awaitable<std::expected<std::size_t, IoError>> Connection::write_some(std::string_view bytes,
                                                                            Deadline deadline) {
  return drive(
      [this, bytes] { return tls_ ? tls_->write(bytes) : plain_write(descriptor_.native_handle(), bytes); },
      deadline);
}

void Connection::give_up() {
  given_up_ = true;
  descriptor_.cancel();
}

bool Connection::is_quiet() {
  if (given_up_) return false;
  char byte = 0;
  const IoStep step = tls_ ? tls_->peek() : plain_read(descriptor_.native_handle(), &byte, 1, MSG_PEEK);
  return step.kind == IoStep::Kind::want_read;
}

}  // namespace sandbox_worker::worker
