#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "worker/client/io_step.hpp"

struct ssl_st;
struct ssl_ctx_st;
struct x509_store_ctx_st;

namespace sandbox_worker::worker {

/// The client's end of TLS over a non-blocking socket that it doesn't own. It never waits: each call makes
/// one attempt and says what to wait for. (Asio's ssl::stream reads ahead by itself, so that it can't tell an
/// idle connection with an unread session ticket from one that the server has closed.)
class TlsSession {
 public:
  /// `host`: a name (sent as SNI) or an IP literal; the certificate must be for it.
  TlsSession(ssl_ctx_st* context, int fd, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  IoStep handshake();
  IoStep read(char* data, std::size_t size);
  IoStep write(std::string_view bytes);

  /// want_read when nothing but TLS's own messages has come; those are taken in.
  IoStep peek();

  /// After a failed handshake: the certificate chain ends in one that isn't trusted.
  bool issuer_unknown() const;

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };

  static int on_verify(int ok, x509_store_ctx_st* store);
  IoStep outcome(int result, std::size_t bytes);
  std::string failure_reason() const;

  std::unique_ptr<ssl_st, Free> ssl_;
  long verify_error_ = 0;
  std::string certificate_names_;  // of a refused certificate
  bool established_ = false;
  bool broken_ = false;
};

}  // namespace sandbox_worker::worker
