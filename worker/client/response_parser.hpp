#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/client/http.hpp"

namespace sandbox_worker::worker {

/// One HTTP/1.1 response from bytes, however they are cut. Interim (1xx) responses before it are skipped.
class ResponseParser {
 public:
  struct Limits {
    std::size_t header_bytes = 0;
    std::optional<std::size_t> body_bytes;  // none: unlimited
    bool no_body = false;  // the answer to HEAD or CONNECT has none, whatever its header says
  };
  struct Error {
    HttpErrorKind kind{};  // malformed, too_large or closed
    std::string reason;    // as what follows "the"
  };

  explicit ResponseParser(Limits limits);
  ~ResponseParser();

  /// How many of `bytes` were used; offer the rest again, with more behind it. Body bytes are added to
  /// `body`.
  std::expected<std::size_t, Error> feed(std::string_view bytes);
  /// The peer has ended the stream: the end of a body without a length, else an error.
  std::expected<void, Error> feed_end();

  bool header_done() const;
  bool done() const;
  bool keep_alive() const;

  unsigned status = 0;
  std::string reason;  // the phrase behind the status, as the peer wrote it
  Headers headers;
  std::string body;  // decoded; the caller may take from it at any time

 private:
  class Machine;

  void restart();

  Limits limits_;
  std::unique_ptr<Machine> machine_;  // keeps Beast out of every includer
};

}  // namespace sandbox_worker::worker
