#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace sandbox_worker::worker {

/// Where a Linux image keeps the certificates that it trusts; one of the two is set, or neither.
struct SystemTrust {
  std::string directory;  // hashed: OpenSSL reads single files when it needs them
  std::string bundle;     // read whole, which takes about 15 ms
};

/// Probes the paths of Debian, Alpine, Fedora and SUSE under `root`.
SystemTrust find_system_trust(const std::filesystem::path& root = "/");

/// What is trusted besides `ca_file`: `ca_dir` (a list between colons), else the system's. The error is a
/// sentence: nothing would be trusted at all.
std::expected<SystemTrust, std::string> find_trust(const std::string& ca_file, const std::string& ca_dir);

/// Whether a file can be read and has a certificate in it. The error is the end of a sentence.
std::expected<void, std::string> check_ca_file(const std::string& path);

/// The certificates that a client trusts, and the TLS settings that follow: TLS 1.2 or newer, peers verified.
class Trust {
 public:
  /// `ca_file` adds to the system's certificates; `ca_dir` stands in for them.
  Trust(std::string ca_file, std::string ca_dir);
  ~Trust();
  Trust(const Trust&) = delete;
  Trust& operator=(const Trust&) = delete;

  /// Built at the first use, since a client of plain HTTP needs none. The error is a sentence; the next call
  /// tries again. The pointer lives as long as this.
  std::expected<ssl_ctx_st*, std::string> context();

  /// What is trusted, for messages: `CA file: /x`, `CA directory: /etc/ssl/certs`.
  const std::string& description() const { return description_; }

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  using Context = std::unique_ptr<ssl_ctx_st, Free>;

  std::expected<Context, std::string> build();

  std::string ca_file_;
  std::string ca_dir_;
  std::string description_;
  Context context_;
};

}  // namespace sandbox_worker::worker
