#include "worker/client/response_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "worker/client/error_text.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// One TLS record. A stream that lives for hours holds one of these, so it starts small.
constexpr std::size_t kFirstBuffer = 16 * 1024;

}  // namespace

ResponseReader::ResponseReader(std::unique_ptr<Connection> connection, std::string peer,
                               ResponseParser::Limits limits)
    : connection_(std::move(connection)),
      peer_(std::move(peer)),
      most_buffered_(std::max(kFirstBuffer, limits.header_bytes)),
      parser_(limits),
      buffer_(kFirstBuffer, '\0') {}

asio::awaitable<std::expected<void, HttpError>> ResponseReader::read_header(Deadline deadline,
                                                                            std::chrono::milliseconds limit) {
  while (!parser_.header_done()) {
    auto read = co_await read_more(deadline);
    if (read) continue;
    if (read.error().kind == HttpErrorKind::timeout) {
      read.error().message = fmt::format("{}: no answer within {}", peer_, duration_text(limit));
    }
    co_return read;
  }
  co_return std::expected<void, HttpError>();
}

asio::awaitable<std::expected<void, HttpError>> ResponseReader::read_more(Deadline deadline) {
  if (parser_.done()) co_return std::expected<void, HttpError>();
  if (!make_room()) {
    co_return std::unexpected(HttpError{
        HttpErrorKind::too_large,
        fmt::format("{}: a line of the answer is over {}", peer_, size_text(most_buffered_)), true});
  }
  auto count = co_await connection_->read_some(buffer_.data() + filled_, buffer_.size() - filled_, deadline);
  if (!count) co_return std::unexpected(failure(count.error()));
  if (*count == 0) {
    auto ended = parser_.feed_end();
    if (!ended) {
      const auto* when = has_begun_ ? "within the answer" : "before the answer";
      co_return std::unexpected(
          HttpError{HttpErrorKind::closed, fmt::format("{}: connection closed {}", peer_, when), true});
    }
    co_return std::expected<void, HttpError>();
  }
  has_begun_ = true;
  filled_ += *count;
  co_return parse();
}

std::expected<void, HttpError> ResponseReader::parse() {
  const auto used = parser_.feed({buffer_.data(), filled_});
  if (!used) {
    return std::unexpected(
        HttpError{used.error().kind, fmt::format("{}: the {}", peer_, used.error().reason), true});
  }
  filled_ -= *used;
  std::memmove(buffer_.data(), buffer_.data() + *used, filled_);
  return {};
}

HttpError ResponseReader::failure(const IoError& error) const {
  if (error.kind == IoError::Kind::timeout) return HttpError{HttpErrorKind::timeout, {}, true};
  const auto* when = has_begun_ ? "within the answer" : "before the answer";
  const auto kind = error.kind == IoError::Kind::closed ? HttpErrorKind::closed : HttpErrorKind::tls;
  return HttpError{kind, fmt::format("{}: {} {}", peer_, error.reason, when), true};
}

bool ResponseReader::make_room() {
  if (filled_ < buffer_.size()) return true;
  if (buffer_.size() >= most_buffered_) return false;
  buffer_.resize(std::min(buffer_.size() * 2, most_buffered_));
  return true;
}

std::unique_ptr<Connection> ResponseReader::take_reusable() {
  if (!parser_.done() || !parser_.keep_alive() || must_close_ || filled_ > 0) return nullptr;
  return std::move(connection_);
}

std::unique_ptr<Connection> ResponseReader::take_tunnel() {
  if (filled_ > 0) return nullptr;
  return std::move(connection_);
}

}  // namespace sandbox_worker::worker
