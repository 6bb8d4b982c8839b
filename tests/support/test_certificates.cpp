#include "tests/support/test_certificates.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace sandbox_worker::tests {

namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("certificate: ") + what);
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Identity blank(const std::string& common_name, long serial, int from_day, int to_day) {
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  require(made.key != nullptr, "key");
  made.certificate.reset(X509_new());
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_day * 86'400L);
  X509_gmtime_adj(X509_getm_notAfter(certificate), to_day * 86'400L);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  return made;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(memory);
  return text;
}

}  // namespace

std::string Identity::certificate_pem() const {
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(memory, certificate.get());
  return text_of(memory);
}

std::string Identity::key_pem() const {
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(memory, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(memory);
}

TestCa::TestCa()
    // Of two authorities with one name, each is taken for the issuer of what the other signed.
    : authority_(blank("Test Authority " + file_.path(), 1, -1000, 1000)) {
  X509* certificate = authority_.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
  require(X509_sign(certificate, authority_.key.get(), EVP_sha256()) > 0, "sign");
  std::FILE* file = std::fopen(file_.path().c_str(), "w");
  require(file && PEM_write_X509(file, certificate) == 1, "write");
  std::fclose(file);
}

std::string TestCa::hash_name() const {
  char name[16];
  std::snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(authority_.certificate.get()));
  return name;
}

Identity TestCa::issue(const std::vector<std::string>& names, int from_day, int to_day) const {
  static long serial = 1;
  Identity made = blank("Test Server", ++serial, from_day, to_day);
  X509* certificate = made.certificate.get();
  X509* issuer = authority_.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ",") + name;
  add_extension(certificate, issuer, NID_subject_alt_name, list);
  require(X509_sign(certificate, authority_.key.get(), EVP_sha256()) > 0, "sign");
  return made;
}

}  // namespace sandbox_worker::tests
