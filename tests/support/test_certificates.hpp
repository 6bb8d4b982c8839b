#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_file.hpp"

namespace sandbox_worker::tests {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

/// A certificate with its key.
struct Identity {
  std::unique_ptr<EVP_PKEY, FreeKey> key;
  std::unique_ptr<X509, FreeX509> certificate;

  std::string certificate_pem() const;
  std::string key_pem() const;
};

/// A certificate authority that lives as long as a test.
class TestCa {
 public:
  TestCa();

  /// A server's certificate for `names` as OpenSSL writes them: `DNS:api.test.example`, `IP:127.0.0.1`.
  /// It was valid from `from_day` to `to_day`, counted from today.
  Identity issue(const std::vector<std::string>& names, int from_day = -1, int to_day = 1) const;

  /// A PEM file with the authority's own certificate.
  const std::string& file() const { return file_.path(); }
  /// What OpenSSL looks for in a directory of certificates: `5ed36f99.0`.
  std::string hash_name() const;

 private:
  TempFile file_;
  Identity authority_;
};

}  // namespace sandbox_worker::tests
