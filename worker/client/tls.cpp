#include "worker/client/tls.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>

#include "worker/client/error_text.hpp"
#include "worker/client/tls_socket_bio.hpp"

namespace sandbox_worker::worker {

namespace {

constexpr unsigned char kAlpn[] = "\x08http/1.1";

bool is_ip_literal(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

std::string name_text(const GENERAL_NAME& name) {
  if (name.type == GEN_DNS) {
    const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name.d.dNSName));
    return one_line({data, static_cast<std::size_t>(ASN1_STRING_length(name.d.dNSName))});
  }
  if (name.type != GEN_IPADD) return {};
  char text[INET6_ADDRSTRLEN] = {};
  const int family = ASN1_STRING_length(name.d.iPAddress) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(name.d.iPAddress) != 16) return {};
  ::inet_ntop(family, ASN1_STRING_get0_data(name.d.iPAddress), text, sizeof text);
  return text;
}

/// The first few names, which is enough to see whose certificate it is.
std::string names_in(const X509* certificate) {
  constexpr int kShown = 3;
  std::string text;
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  const int count = names ? sk_GENERAL_NAME_num(names) : 0;
  for (int i = 0, shown = 0; i < count && shown < kShown; ++i) {
    const std::string name = name_text(*sk_GENERAL_NAME_value(names, i));
    if (name.empty()) continue;
    text += (shown++ > 0 ? ", " : "") + name;
  }
  if (count > kShown) text += ", …";
  GENERAL_NAMES_free(names);
  return text.empty() ? "nobody in particular" : text;
}

bool is_unknown_issuer(long error) {
  return error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
         error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
         error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

std::string certificate_reason(long error, const std::string& names) {
  if (is_unknown_issuer(error)) return "certificate is self-signed or its issuer is unknown";
  switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format("certificate is for {}, not for this host", names);
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate is not valid yet (is this machine's clock right?)";
    default:
      return fmt::format("certificate is refused: {}", X509_verify_cert_error_string(error));
  }
}

/// Where more was to be said, the peer's orderly end is a cut like another.
IoStep no_end(IoStep step) {
  if (step.kind != IoStep::Kind::end) return step;
  return {.kind = IoStep::Kind::closed, .bytes = 0, .reason = "connection closed"};
}

}  // namespace

void TlsSession::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

TlsSession::TlsSession(ssl_ctx_st* context, int fd, const std::string& host) : ssl_(SSL_new(context)) {
  SSL* ssl = ssl_.get();
  SSL_set_app_data(ssl, this);
  SSL_set_verify(ssl, SSL_VERIFY_PEER, &TlsSession::on_verify);
  BIO* bio = make_socket_bio(fd);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_connect_state(ssl);
  SSL_set_alpn_protos(ssl, kAlpn, sizeof kAlpn - 1);
  // A name that can't be set as the one to verify must not be connected to: 1 is the only success.
  if (is_ip_literal(host)) {
    broken_ = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) != 1;
  } else {
    const std::string name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    broken_ = name.empty() || SSL_set1_host(ssl, name.c_str()) != 1 ||
              SSL_set_tlsext_host_name(ssl, name.c_str()) != 1;
  }
}

TlsSession::~TlsSession() {
  // One attempt to say goodbye, as the socket is about to be closed.
  if (established_ && !broken_) SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

int TlsSession::on_verify(int ok, x509_store_ctx_st* store) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  if (ok == 0 && self->verify_error_ == 0) {
    self->verify_error_ = X509_STORE_CTX_get_error(store);
    self->certificate_names_ = names_in(X509_STORE_CTX_get0_cert(store));
  }
  return ok;
}

IoStep TlsSession::handshake() {
  if (broken_) return {.kind = IoStep::Kind::failed, .reason = "the host can't be verified"};
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  established_ = result == 1;
  return no_end(outcome(result, 0));
}

IoStep TlsSession::read(char* data, std::size_t size) {
  ERR_clear_error();
  errno = 0;
  std::size_t count = 0;
  const int result = SSL_read_ex(ssl_.get(), data, size, &count);
  return outcome(result, count);
}

IoStep TlsSession::write(std::string_view bytes) {
  ERR_clear_error();
  errno = 0;
  std::size_t count = 0;
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
  return no_end(outcome(result, count));
}

IoStep TlsSession::peek() {
  ERR_clear_error();
  errno = 0;
  char byte = 0;
  std::size_t count = 0;
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &count);
  return outcome(result, count);
}

bool TlsSession::issuer_unknown() const {
  return is_unknown_issuer(verify_error_);
}

IoStep TlsSession::outcome(int result, std::size_t bytes) {
  using Kind = IoStep::Kind;
  const int cause = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
      return {.kind = Kind::done, .bytes = bytes, .reason = {}};
    case SSL_ERROR_WANT_READ:
      return {.kind = Kind::want_read, .bytes = 0, .reason = {}};
    case SSL_ERROR_WANT_WRITE:
      return {.kind = Kind::want_write, .bytes = 0, .reason = {}};
    case SSL_ERROR_ZERO_RETURN:
      return {.kind = Kind::end, .bytes = 0, .reason = {}};
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      return {
          .kind = Kind::closed, .bytes = 0, .reason = cause == 0 ? "connection closed" : errno_text(cause)};
    default:
      broken_ = true;
      break;
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return {.kind = Kind::closed, .bytes = 0, .reason = "connection closed"};
  }
  return {.kind = Kind::failed, .bytes = 0, .reason = failure_reason()};
}

std::string TlsSession::failure_reason() const {
  if (verify_error_ != 0) return certificate_reason(verify_error_, certificate_names_);
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER) {
    return "the server doesn't speak TLS on this port";
  }
  const char* reason = ERR_reason_error_string(error);
  return reason ? reason : "handshake failed";
}

}  // namespace sandbox_worker::worker
