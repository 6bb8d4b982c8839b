#include "worker/credentials.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::testing::TempDir;

namespace {

std::string secret_file(const TempDir& dir, std::string_view name, std::string_view text,
                        mode_t mode = 0600) {
  const auto path = dir.write(name, text);
  REQUIRE(::chmod(path.c_str(), mode) == 0);
  return path;
}

/// What the secrets here hold. Its base64 needs the letters that the two alphabets write differently.
const std::string kToken = std::string("tok") + std::string(3, '?') + ">>>";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("credentials: the secret's token wins over the key, in every form of base64") {
  // {"sessions_token":kToken}
  for (const char* secret : {"eyJzZXNzaW9uc190b2tlbiI6InRvaz8/Pz4+PiJ9",          // with + and /
                             "eyJzZXNzaW9uc190b2tlbiI6InRvaz8_Pz4-PiJ9",          // the same as base64url
                             "eyJzZXNzaW9uc190b2tlbiI6InRvaz8/Pz4+PiJ9IA==",      // a space behind it: padded
                             "eyJzZXNzaW9uc190b2tlbiI6InRvaz8_Pz4-PiJ9IA",        // not padded
                             " eyJzZXNzaW9uc190b2tlbiI6InRvaz8_Pz4-PiJ9ICA=\n"})  // white space around
  {
    CAPTURE(secret);
    CredentialSources sources;
    sources.key = "key";
    sources.secret = secret;
    const auto credentials = load_credentials(sources);
    REQUIRE(credentials);
    CHECK(credentials->token == kToken);
    CHECK(credentials->api_base_url.empty());
    CHECK(credentials->warnings.empty());
  }
}

TEST_CASE("credentials: a secret that gives no token is warned about, and the key used") {
  for (const char* secret : {"!!!!", "eyJ4I", "eyJ4IjoxfQ",   // {"x":1}
                             "eyJzZXNzaW9uc190b2tlbiI6IiJ9",  // an empty token
                             "eyJzZXNzaW9uc190b2tlbiI6NX0",   // a number
                             "W10", "bm90IGpzb24",            // [], not json
                             // A line break in a token would be a second header.
                             "eyJzZXNzaW9uc190b2tlbiI6ImFcbmIifQ"}) {
    CAPTURE(secret);
    CredentialSources sources;
    sources.key = " key\n";
    sources.secret = secret;
    const auto credentials = load_credentials(sources);
    REQUIRE(credentials);
    CHECK(credentials->token == "key");
    REQUIRE(credentials->warnings.size() == 1);
    CHECK(has(credentials->warnings.front(), "ANTHROPIC_WORK_SECRET"));
    CHECK(has(credentials->warnings.front(), "the environment key is used instead"));
    CHECK(!has(credentials->warnings.front(), secret));
    sources.key.clear();
    const auto refused = load_credentials(sources);
    REQUIRE(!refused);
    CHECK(has(refused.error(), "ANTHROPIC_WORK_SECRET"));
    CHECK(has(refused.error(), "ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) is not set"));
    CHECK(!has(refused.error(), secret));
  }
}

TEST_CASE("credentials: key and secret from files, trimmed") {
  const TempDir dir;
  CredentialSources sources;
  sources.key_file = secret_file(dir, "key", "\n  sk-key \r\n\n");
  CHECK(load_credentials(sources)->token == "sk-key");
  sources.key = "given";  // a value is nearer than a file
  CHECK(load_credentials(sources)->token == "given");
  sources.secret_file = secret_file(dir, "secret", "eyJzZXNzaW9uc190b2tlbiI6InRvaz8_Pz4-PiJ9\n");
  CHECK(load_credentials(sources)->token == kToken);
  sources.secret_file = secret_file(dir, "broken", "?");
  const auto broken = load_credentials(sources);
  REQUIRE(broken);
  CHECK(has(broken->warnings.at(0), "ANTHROPIC_WORK_SECRET_FILE (--work-secret-file)"));
}

TEST_CASE("credentials: a file that others may read, or that holds nothing, is refused") {
  const TempDir dir;
  struct Row {
    std::string path;
    std::string why;
  };
  const Row rows[] = {
      {secret_file(dir, "open", "key", 0604), "others may read it; chmod 600 it"},
      {secret_file(dir, "writable", "key", 0602), "others may read it; chmod 600 it"},
      {secret_file(dir, "empty", ""), "the file is empty"},
      {secret_file(dir, "blank", " \n\t"), "the file is empty"},
      {secret_file(dir, "large", std::string(65 * 1024, 'x')), "too large for a secret"},
      {dir.make_dir("directory"), "not a regular file"},
      {dir / "missing", "No such file or directory"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.path);
    CredentialSources sources;
    sources.key = "key";  // no fallback: who names a secret wants it
    sources.secret_file = row.path;
    auto refused = load_credentials(sources);
    REQUIRE(!refused);
    CHECK(refused.error() == "ANTHROPIC_WORK_SECRET_FILE (--work-secret-file): " + row.path + ": " + row.why);
    sources = {};
    sources.key_file = row.path;
    refused = load_credentials(sources);
    REQUIRE(!refused);
    CHECK(refused.error() ==
          "SANDBOX_WORKER_ENVIRONMENT_KEY_FILE (--environment-key-file): " + row.path + ": " + row.why);
  }
  const auto fine = secret_file(dir, "group", "key", 0640);
  CHECK(read_secret_file(fine, "x") == std::string("key"));
}

TEST_CASE("credentials: a key with what no header can carry is refused, and not shown") {
  for (const char* key : {"a b", "a\nb: c", "a\x7f", "schl\xc3\xbcssel"}) {
    CredentialSources sources;
    sources.key = key;
    const auto refused = load_credentials(sources);
    REQUIRE(!refused);
    CHECK(refused.error() ==
          "ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) has characters that no key has");
  }
  CHECK(load_credentials({}).error() == "ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) is not set");
}
