#include "worker/client/response_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>

#include "worker/client/error_text.hpp"

namespace sandbox_worker::worker {

namespace beast = boost::beast;
namespace http = boost::beast::http;

/// Beast's parser, with what it finds written into the owner.
class ResponseParser::Machine : public http::basic_parser<false> {
 public:
  explicit Machine(ResponseParser& owner) : owner_(owner) {}

 private:
  using text = beast::string_view;
  using error = beast::error_code;

  void on_request_impl(http::verb, text, text, int, error&) override {}
  void on_response_impl(int code, text phrase, int, error&) override {
    owner_.status = static_cast<unsigned>(code);
    owner_.reason.assign(phrase.data(), phrase.size());
  }
  void on_field_impl(http::field, text name, text value, error&) override {
    // Fields behind a chunked body are of no use to us, and would grow what was read already.
    if (!is_header_done()) owner_.headers.emplace_back(std::string(name), std::string(value));
  }
  void on_header_impl(error&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error&) override {}
  std::size_t on_body_impl(text bytes, error&) override {
    owner_.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, text, error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, text bytes, error&) override {
    owner_.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_finish_impl(error&) override {}

  ResponseParser& owner_;
};

ResponseParser::ResponseParser(Limits limits) : limits_(limits) {
  restart();
}
ResponseParser::~ResponseParser() = default;

void ResponseParser::restart() {
  status = 0;
  reason.clear();
  headers.clear();
  machine_ = std::make_unique<Machine>(*this);
  machine_->eager(true);
  machine_->skip(limits_.no_body);
  const std::size_t most = std::numeric_limits<std::uint32_t>::max();
  machine_->header_limit(static_cast<std::uint32_t>(std::min(limits_.header_bytes, most)));
  if (limits_.body_bytes) {
    machine_->body_limit(*limits_.body_bytes);
  } else {
    machine_->body_limit(boost::none);
  }
}

std::expected<std::size_t, ResponseParser::Error> ResponseParser::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !machine_->is_done()) {
    beast::error_code error;
    const auto rest = bytes.substr(used);
    const std::size_t taken = machine_->put(boost::asio::buffer(rest.data(), rest.size()), error);
    used += taken;
    if (error == http::error::header_limit) {
      return std::unexpected(Error{HttpErrorKind::too_large, fmt::format("header of the answer is over {}",
                                                                         size_text(limits_.header_bytes))});
    }
    if (error == http::error::body_limit) {
      return std::unexpected(
          Error{HttpErrorKind::too_large,
                fmt::format("body of the answer is over {}", size_text(limits_.body_bytes.value_or(0)))});
    }
    if (error && error != http::error::need_more) {
      return std::unexpected(
          Error{HttpErrorKind::malformed, fmt::format("answer is not HTTP/1.1: {}", error.message())});
    }
    const bool interim = machine_->is_done() && status / 100 == 1 && status != 101;
    if (interim) restart();
    if (taken == 0) break;
  }
  return used;
}

std::expected<void, ResponseParser::Error> ResponseParser::feed_end() {
  if (machine_->is_done()) return {};
  beast::error_code error;
  if (machine_->got_some()) {
    machine_->put_eof(error);
  } else {
    error = http::error::end_of_stream;
  }
  if (error) return std::unexpected(Error{HttpErrorKind::closed, "answer is not whole"});
  return {};
}

bool ResponseParser::header_done() const {
  return machine_->is_header_done();
}
bool ResponseParser::done() const {
  return machine_->is_done();
}
bool ResponseParser::keep_alive() const {
  return machine_->keep_alive();
}

}  // namespace sandbox_worker::worker
