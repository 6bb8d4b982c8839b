#include "worker/client/trust.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>

#include "worker/client/error_text.hpp"

namespace sandbox_worker::worker {

namespace fs = std::filesystem;

namespace {

constexpr const char* kNoCertificate = "holds no PEM certificate";

constexpr const char* kDirectories[] = {
    "etc/ssl/certs",                                  // Debian, Alpine, SUSE
    "etc/pki/ca-trust/extracted/pem/directory-hash",  // Fedora 39 and newer
    "etc/pki/tls/certs",                              // older Fedora, where somebody hashed it
};
constexpr const char* kBundles[] = {
    "etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine
    "etc/pki/tls/certs/ca-bundle.crt",                   // Fedora
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora
    "etc/ssl/ca-bundle.pem",                             // SUSE
    "etc/ssl/cert.pem",                                  // Alpine's smallest
};

/// `5ed36f99.0`
bool is_hash_name(std::string_view name) {
  const auto hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
  return name.size() >= 10 && name[8] == '.' && std::isdigit(static_cast<unsigned char>(name[9])) &&
         std::all_of(name.begin(), name.begin() + 8, hex);
}

/// Images are copied together: links into a directory that was left behind are common, so one must be
/// readable.
bool is_hashed(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator each(directory, error), end; !error && each != end; each.increment(error)) {
    if (is_hash_name(each->path().filename().native())) return ::access(each->path().c_str(), R_OK) == 0;
  }
  return false;
}

/// As OpenSSL reads SSL_CERT_DIR: any of a list.
bool names_directory(const std::string& list) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(':', begin), list.size());
    std::error_code error;
    if (fs::is_directory(list.substr(begin, end - begin), error)) return true;
    begin = end + 1;
  }
  return false;
}

/// Whatever openssl.cnf an image has, it was not written for this program: a static one can't load providers.
void init_openssl() {
  static const int once = OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  (void)once;
}

}  // namespace

SystemTrust find_system_trust(const fs::path& root) {
  for (const char* path : kDirectories) {
    if (is_hashed(root / path)) return {.directory = root / path, .bundle = {}};
  }
  for (const char* path : kBundles) {
    if (::access((root / path).c_str(), R_OK) == 0) return {.directory = {}, .bundle = root / path};
  }
  return {};
}

std::expected<SystemTrust, std::string> find_trust(const std::string& ca_file, const std::string& ca_dir) {
  SystemTrust found;
  if (ca_dir.empty()) {
    found = find_system_trust();
  } else if (names_directory(ca_dir)) {
    found.directory = ca_dir;
  }
  if (!ca_file.empty() || !found.directory.empty() || !found.bundle.empty()) return found;
  return std::unexpected(ca_dir.empty() ? "this image has no trusted certificates; SANDBOX_WORKER_CA_FILE "
                                          "(--ca-file) names some"
                                        : "SSL_CERT_DIR names no directory");
}

std::expected<void, std::string> check_ca_file(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return std::unexpected(errno_text(errno));
  if (!S_ISREG(info.st_mode)) return std::unexpected("not a regular file");
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return std::unexpected(errno_text(errno));
  init_openssl();
  // Reading all of a large bundle would take longer than all the rest of a start.
  X509* first = PEM_read_X509_AUX(file.get(), nullptr, nullptr, nullptr);
  ERR_clear_error();
  if (first == nullptr) return std::unexpected(kNoCertificate);
  X509_free(first);
  return {};
}

void Trust::Free::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

Trust::Trust(std::string ca_file, std::string ca_dir)
    : ca_file_(std::move(ca_file)), ca_dir_(std::move(ca_dir)) {}
Trust::~Trust() = default;

std::expected<ssl_ctx_st*, std::string> Trust::context() {
  if (!context_) {
    auto built = build();
    if (!built) return std::unexpected(built.error());
    context_ = std::move(*built);
  }
  return context_.get();
}

std::expected<Trust::Context, std::string> Trust::build() {
  init_openssl();
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return std::unexpected("no memory for TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  // Whoever names an intermediate authority as trusted means it, without its root.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_read_ahead(context.get(), 1);

  auto found = find_trust(ca_file_, ca_dir_);
  if (!found) return std::unexpected(found.error());
  SystemTrust system = std::move(*found);
  if (system.bundle == ca_file_) system.bundle.clear();
  if (!ca_file_.empty() && SSL_CTX_load_verify_file(context.get(), ca_file_.c_str()) != 1) {
    const bool unreadable = ::access(ca_file_.c_str(), R_OK) != 0;
    return std::unexpected(
        fmt::format("CA file {}: {}", ca_file_, unreadable ? errno_text(errno) : kNoCertificate));
  }
  if (!system.directory.empty()) SSL_CTX_load_verify_dir(context.get(), system.directory.c_str());
  if (!system.bundle.empty()) SSL_CTX_load_verify_file(context.get(), system.bundle.c_str());
  ERR_clear_error();
  description_ = !ca_file_.empty()           ? "CA file: " + ca_file_
                 : !system.directory.empty() ? "CA directory: " + system.directory
                                             : "CA file: " + system.bundle;
  return context;
}

}  // namespace sandbox_worker::worker
