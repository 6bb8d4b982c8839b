#include "worker/command_line.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "tests/support/temp_dir.hpp"
#include "tests/support/test_certificates.hpp"
#include "worker/option_table.hpp"

using namespace sandbox_worker::worker;
using namespace std::chrono_literals;
using sandbox_worker::testing::TempDir;
using sandbox_worker::tests::TestCa;

namespace {

const Environment kWhole = {{"ANTHROPIC_SESSION_ID", "sesn_1"},
                            {"ANTHROPIC_WORK_ID", "work_1"},
                            {"ANTHROPIC_ENVIRONMENT_ID", "env_1"},
                            {"ANTHROPIC_ENVIRONMENT_KEY", "sk-ant-oat01-key"}};

Environment whole_and(const Environment& more) {
  Environment environment = more;
  environment.insert(kWhole.begin(), kWhole.end());
  return environment;
}

/// The process's arguments, which parse_command may overwrite.
struct Arguments {
  explicit Arguments(std::vector<std::string> given) : texts(std::move(given)) {
    texts.insert(texts.begin(), "sandbox-worker");
    for (auto& text : texts) pointers.push_back(text.data());
  }
  Command parse(const Environment& environment) {
    return parse_command(static_cast<int>(pointers.size()), pointers.data(), environment);
  }

  std::vector<std::string> texts;
  std::vector<char*> pointers;
};

Config config_of(const Environment& environment, std::vector<std::string> arguments = {}) {
  auto command = Arguments(std::move(arguments)).parse(environment);
  if (const auto* exit = std::get_if<Exit>(&command)) FAIL(exit->text);
  return std::get<Config>(std::move(command));
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// The complaint; it must be one sentence and status 2.
std::string complaint(const Environment& environment, std::vector<std::string> arguments = {}) {
  const auto command = Arguments(std::move(arguments)).parse(environment);
  const auto* exit = std::get_if<Exit>(&command);
  REQUIRE(exit);
  CHECK(exit->status == 2);
  CHECK(!has(exit->text, "\n"));
  return exit->text;
}

}  // namespace

TEST_CASE("config: nothing but the ids and a key gives the documented defaults") {
  const auto config = config_of(kWhole);
  CHECK(config.session_id == "sesn_1");
  CHECK(config.work_id == "work_1");
  CHECK(config.environment_id == "env_1");
  CHECK(config.token == "sk-ant-oat01-key");
  CHECK(!config.last_heartbeat);
  CHECK(config.base_url.tls);
  CHECK(config.base_url.host == "api.anthropic.com");
  CHECK(config.workdir == "/workspace");
  CHECK(config.allow_roots.empty());
  CHECK(config.max_idle == 60s);
  CHECK(config.max_run == 0s);
  CHECK(config.stream_silence == 60s);
  CHECK(config.http.connect_timeout == 10s);
  CHECK(config.http.tls_timeout == 10s);
  CHECK(config.http.write_timeout == 30s);
  CHECK(config.http.response_timeout == 60s);
  CHECK(config.log_format == LogFormat::text);
  CHECK(config.log_level == LogLevel::info);
  CHECK(config.warnings.empty());
}

TEST_CASE(
    "config: a flag wins over our variable, which wins over the names of integrations, in their order") {
  // What is below the first of a row is also set, to other values.
  struct Row {
    Environment environment;
    std::vector<std::string> arguments;
    std::chrono::milliseconds max_idle;
  };
  const Row rows[] = {
      {{{"SANDBOX_WORKER_MAX_IDLE", "2s"}, {"RUNNER_MAX_IDLE_SECONDS", "3"}}, {"--max-idle", "1s"}, 1s},
      {{{"SANDBOX_WORKER_MAX_IDLE", "2s"}, {"RUNNER_MAX_IDLE_SECONDS", "3"}}, {}, 2s},
      {{{"SANDBOX_WORKER_MAX_IDLE", ""}, {"RUNNER_MAX_IDLE_SECONDS", "3"}}, {}, 3s},
      {{{"RUNNER_MAX_IDLE_SECONDS", "3"}, {"WORKER_MAX_IDLE_SECONDS", "4"}}, {}, 3s},
      {{{"WORKER_MAX_IDLE_SECONDS", "4"}, {"WORKER_MAX_IDLE", "5m"}}, {}, 4s},
      {{{"WORKER_MAX_IDLE", "5m"}, {"APP_SANDBOX_IDLE_TIMEOUT_SECONDS", "6"}}, {}, 5min},
      {{{"APP_SANDBOX_IDLE_TIMEOUT_SECONDS", "6"}, {"SBX_MAX_IDLE", "7"}}, {}, 6s},
      {{{"SBX_MAX_IDLE", "7"}, {"ANT_MAX_IDLE", "8"}}, {}, 7s},
      {{{"ANT_MAX_IDLE", "8"}, {"WORK_IDLE_EXIT_MS", "9"}}, {}, 8s},
      {{{"WORK_IDLE_EXIT_MS", "9"}}, {}, 9ms},
      {{{"WORKER_MAX_IDLE", "90"}}, {}, 90s},
      {{}, {"--max-idle", "1s", "--max-idle=2s"}, 2s},
  };
  for (const auto& row : rows) {
    CAPTURE(row.max_idle.count());
    const auto config = config_of(whole_and(row.environment), row.arguments);
    CHECK(config.max_idle == row.max_idle);
    CHECK(config.warnings.empty());
  }
}

TEST_CASE("config: WORKER_MAX_IDLE_SECONDS switches off by none, null or an empty text") {
  for (const char* off : {"none", "null", "", "0"}) {
    CAPTURE(off);
    CHECK(config_of(whole_and({{"WORKER_MAX_IDLE_SECONDS", off}, {"WORKER_MAX_IDLE", "5"}})).max_idle == 0s);
  }
  // In every other name an empty value counts as absent.
  CHECK(config_of(whole_and({{"RUNNER_MAX_IDLE_SECONDS", ""}, {"WORKER_MAX_IDLE", "5"}})).max_idle == 5s);
}

TEST_CASE("config: what integrations set for the workdir, a run's limit, the log and a repository") {
  CHECK(config_of(whole_and({{"WORKSPACE_DIR", "/e"}})).workdir == "/e");
  CHECK(config_of(whole_and({{"WORKSPACE_DIR", "/e"}, {"AGENT_WORKDIR", "/d"}})).workdir == "/d");
  CHECK(config_of(whole_and({{"AGENT_WORKDIR", "/d"}, {"SBX_WORKDIR", "/c"}})).workdir == "/c");
  CHECK(config_of(whole_and({{"SBX_WORKDIR", "/c"}, {"APP_SANDBOX_WORKDIR", "/b"}})).workdir == "/b");
  CHECK(config_of(whole_and({{"APP_SANDBOX_WORKDIR", "/b"}, {"ANTHROPIC_WORKDIR", "/a"}})).workdir == "/a");
  CHECK(config_of(whole_and({{"WORKER_RUN_SECONDS", "7"}, {"OMNIRUN_MAX_RUNTIME", "8"}})).max_run == 7s);
  CHECK(config_of(whole_and({{"OMNIRUN_MAX_RUNTIME", "2h"}})).max_run == 2h);
  CHECK(config_of(whole_and({{"LOG_LEVEL", "WARNING"}, {"WORKER_DEBUG", "1"}})).log_level == LogLevel::warn);
  CHECK(config_of(whole_and({{"APP_LOG_LEVEL", "error"}})).log_level == LogLevel::error);
  CHECK(config_of(whole_and({{"WORKER_DEBUG", "1"}})).log_level == LogLevel::debug);
  CHECK(config_of(whole_and({{"WORKER_DEBUG", "0"}})).log_level == LogLevel::info);
  const auto config = config_of(
      whole_and({{"APP_SANDBOX_REPO_IMAGE_PATH", "/opt/repo"}, {"APP_SANDBOX_REPO_WORKDIR_NAME", "app"}}));
  CHECK(config.repo_source == "/opt/repo");
  CHECK(config.repo_name == "app");
}

TEST_CASE("config: without a name, a copied repository keeps that of its source") {
  for (const char* source : {"/opt/repo", "/opt/repo/", "/opt/repo//"}) {
    CAPTURE(source);
    CHECK(config_of(whole_and({{"APP_SANDBOX_REPO_IMAGE_PATH", source}})).repo_name == "repo");
  }
}

TEST_CASE("config: a malformed value in another program's name is a warning, and the next name counts") {
  const auto config = config_of(whole_and({{"RUNNER_MAX_IDLE_SECONDS", "soon"},
                                           {"WORKER_MAX_IDLE", "5"},
                                           {"LOG_LEVEL", "chatty"},
                                           {"APP_SANDBOX_REPO_IMAGE_PATH", "/opt/repo"},
                                           {"APP_SANDBOX_REPO_WORKDIR_NAME", "../out"}}));
  CHECK(config.max_idle == 5s);
  CHECK(config.log_level == LogLevel::info);
  CHECK(config.repo_name == "repo");
  REQUIRE(config.warnings.size() == 3);
  CHECK(std::ranges::any_of(config.warnings, [](const auto& warning) {
    return warning ==
           "RUNNER_MAX_IDLE_SECONDS: 'soon' is not a time such as 500ms, 60s or 5m (0: no limit); ignored";
  }));
  CHECK(std::ranges::any_of(config.warnings, [](const auto& w) { return has(w, "LOG_LEVEL: 'chatty'"); }));
  CHECK(std::ranges::any_of(config.warnings, [](const auto& w) { return has(w, "'../out'"); }));
}

TEST_CASE("config: a malformed value in a name of ours is an error that names variable and flag") {
  struct Row {
    Environment environment;
    std::vector<std::string> arguments;
    std::string says;
  };
  const Row rows[] = {
      {{{"SANDBOX_WORKER_MAX_IDLE", "90"}},
       {},
       "SANDBOX_WORKER_MAX_IDLE (--max-idle): '90' is not a time such as 500ms, 60s or 5m (0: no limit)"},
      {{}, {"--max-idle", ""}, "SANDBOX_WORKER_MAX_IDLE (--max-idle): '' is not"},
      {{}, {"--workdir", ""}, "SANDBOX_WORKER_WORKDIR (--workdir): '' is not a directory"},
      {{{"SANDBOX_WORKER_LOG_FORMAT", "xml"}}, {}, "(--log-format): 'xml' is not text or json"},
      {{{"SANDBOX_WORKER_MAX_READ_BYTES", "0"}}, {}, "(--max-read-bytes): '0' is not a number"},
      {{{"SANDBOX_WORKER_MAX_READ_BYTES", "1k"}}, {}, "(--max-read-bytes): '1k' is not a number"},
      {{}, {"--session-id", "sesn/../1"}, "ANTHROPIC_SESSION_ID (--session-id): not an id"},
      {{}, {"--work-id", "a b"}, "ANTHROPIC_WORK_ID (--work-id): not an id"},
      {{}, {"--environment-id", ".."}, "ANTHROPIC_ENVIRONMENT_ID (--environment-id): not an id"},
      {{}, {"--ca-file", "/nope-x"}, "SANDBOX_WORKER_CA_FILE (--ca-file): /nope-x: no such file"},
      {{{"SANDBOX_WORKER_CA_FILE", "/dev/null"}}, {}, "(--ca-file): /dev/null: not a regular file"},
      {{{"SANDBOX_WORKER_CA_FILE", "/etc/passwd"}}, {}, "/etc/passwd: holds no PEM certificate"},
      {{}, {"--repo-workdir-name", "a/b"}, "SANDBOX_WORKER_REPO_WORKDIR_NAME (--repo-workdir-name): 'a/b'"},
      {{}, {"--base-url", "host"}, "ANTHROPIC_BASE_URL (--base-url): is not a URL"},
      // Whatever a value holds, the line stays one short line.
      {{{"SANDBOX_WORKER_MAX_IDLE", "a\nb\x1b[2J" + std::string(9999, 'x')}}, {}, "'a?b?[2Jxxx"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.says);
    const auto text = complaint(whole_and(row.environment), row.arguments);
    CAPTURE(text);
    CHECK(has(text, row.says));
    CHECK(text.size() < 400);
  }
}

TEST_CASE("config: what is missing is named; without session and work id it is polling that isn't there") {
  for (const auto& [missing, flag] :
       {std::pair("ANTHROPIC_SESSION_ID", "--session-id"), std::pair("ANTHROPIC_WORK_ID", "--work-id"),
        std::pair("ANTHROPIC_ENVIRONMENT_ID", "--environment-id")}) {
    Environment environment = kWhole;
    environment.erase(missing);
    CHECK(complaint(environment) == std::string(missing) + " (" + flag + ") is not set");
    environment[missing] = "";
    CHECK(has(complaint(environment), missing));
  }
  Environment environment = kWhole;
  environment.erase("ANTHROPIC_ENVIRONMENT_KEY");
  CHECK(has(complaint(environment), "ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) is not set"));
  environment = kWhole;
  environment.erase("ANTHROPIC_SESSION_ID");
  environment.erase("ANTHROPIC_WORK_ID");
  CHECK(has(complaint(environment), "polling the queue isn't there yet"));
  CHECK(has(complaint(kWhole, {"poll"}), "polling the queue isn't there yet"));
  CHECK(has(complaint(kWhole, {"beta:worker", "poll"}), "polling the queue isn't there yet"));
  CHECK(has(complaint(kWhole, {"beta:worker", "poll", "--on-work", "x.sh", "--worker-id", "w"}),
            "polling the queue isn't there yet"));
}

TEST_CASE("config: the words and flags of the public CLI") {
  for (const auto& words : {std::vector<std::string>{}, {"run"}, {"beta:worker", "run"}, {"beta:worker"}}) {
    auto arguments = words;
    for (const char* flag : {"--workdir", "/w", "--max-idle", "60s", "--log-format", "json"})
      arguments.emplace_back(flag);
    const auto config = config_of(kWhole, arguments);
    CHECK(config.workdir == "/w");
    CHECK(config.log_format == LogFormat::json);
  }
  const auto all = config_of({}, {"beta:worker", "run", "--session-id=sesn_2", "--work-id=work_2",
                                  "--environment-id=env_2", "--environment-key=k", "--base-url=http://h/p"});
  CHECK(all.session_id == "sesn_2");
  CHECK(all.token == "k");
  CHECK(all.base_url.prefix == "/p");
  const auto unrestricted = config_of(kWhole, {"--unrestricted-paths"});
  CHECK(unrestricted.warnings ==
        std::vector<std::string>{
            "--unrestricted-paths does nothing: name further directories with --allow-root"});
}

TEST_CASE("config: wrong words and flags are errors that repeat no argument, which may be a key") {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"run", "sk-ant-secret"},
                                                    {"sk-ant-secret"},
                                                    {"beta:worker", "sk-ant-secret"},
                                                    {"--environment-kay", "sk-ant-secret"},
                                                    {"--environment-kay=sk-ant-secret"},
                                                    {"tool", "bash", "{}", "sk-ant-secret"},
                                                    {"--unrestricted-paths=sk-ant-secret"}}) {
    const auto text = complaint(kWhole, arguments);
    CAPTURE(text);
    CHECK(!has(text, "secret"));
  }
  CHECK(has(complaint(kWhole, {"serve"}), "see --help"));
  CHECK(has(complaint(kWhole, {"--max-idle"}), "--max-idle"));
}

TEST_CASE("config: roots by flag, repeated, or by variable, between colons") {
  CHECK(config_of(kWhole, {"--allow-root", "/a", "--allow-root=/b"}).allow_roots ==
        std::vector<std::string>{"/a", "/b"});
  CHECK(config_of(whole_and({{"SANDBOX_WORKER_ALLOW_ROOT", ":/a::/b:"}})).allow_roots ==
        std::vector<std::string>{"/a", "/b"});
  CHECK(config_of(whole_and({{"SANDBOX_WORKER_ALLOW_ROOT", "/a"}}), {"--allow-root", "/c"}).allow_roots ==
        std::vector<std::string>{"/c"});
}

TEST_CASE("config: a key on the command line is taken, overwritten there, and warned about") {
  for (const std::vector<std::string>& given : {std::vector<std::string>{"--environment-key", "sk-ant-flag"},
                                                {"--environment-key=sk-ant-flag"},
                                                {"--environment-key=", "sk-ant-flag"}}) {
    Arguments arguments(given);
    const auto command = arguments.parse(kWhole);
    const auto* config = std::get_if<Config>(&command);
    REQUIRE(config);
    CHECK(config->token == "sk-ant-flag");
    REQUIRE(config->warnings.size() == 1);
    CHECK(has(config->warnings.front(), "on the command line"));
    for (const auto& text : arguments.texts) CHECK(!has(text, "flag"));
    CHECK(arguments.texts.back().ends_with("***********"));
  }
  // Also when the rest is wrong.
  Arguments wrong({"--environment-key", "sk-ant-flag", "--no-such-flag"});
  CHECK(std::holds_alternative<Exit>(wrong.parse(kWhole)));
  for (const auto& text : wrong.texts) CHECK(!has(text, "sk-ant"));
}

TEST_CASE("config: keys of other kinds are ignored with a warning that holds none of them") {
  const auto config =
      config_of(whole_and({{"ANTHROPIC_API_KEY", "sk-ant-api"}, {"ANTHROPIC_AUTH_TOKEN", "sk-ant-auth"}}));
  CHECK(config.token == "sk-ant-oat01-key");
  CHECK(config.warnings ==
        std::vector<std::string>{"ANTHROPIC_API_KEY is ignored, and should not be in a sandbox",
                                 "ANTHROPIC_AUTH_TOKEN is ignored, and should not be in a sandbox"});
}

TEST_CASE("config: the base URL is ours, else the secret's, else the public one") {
  // {"sessions_token":"t","api_base_url":"https://of.secret"}
  const Environment secret = {
      {"ANTHROPIC_WORK_SECRET",
       "eyJzZXNzaW9uc190b2tlbiI6InQiLCJhcGlfYmFzZV91cmwiOiJodHRwczovL29mLnNlY3JldCJ9"}};
  CHECK(config_of(whole_and(secret)).base_url.host == "of.secret");
  CHECK(config_of(whole_and(secret)).token == "t");
  CHECK(config_of(whole_and(secret), {"--base-url", "https://of.flag"}).base_url.host == "of.flag");
  auto both = secret;
  both["ANTHROPIC_BASE_URL"] = "https://of.variable";
  CHECK(config_of(whole_and(both)).base_url.host == "of.variable");
}

TEST_CASE("config: proxies in either case, certificates, further headers, the claimer's heartbeat") {
  const TestCa of_variable;
  const TestCa of_flag;
  const auto lower = config_of(whole_and({{"https_proxy", "a"}, {"http_proxy", "b"}, {"no_proxy", "c"}}));
  CHECK(lower.http.https_proxy == "a");
  CHECK(lower.http.http_proxy == "b");
  CHECK(lower.http.no_proxy == "c");
  CHECK(config_of(whole_and({{"HTTPS_PROXY", "A"}, {"https_proxy", "a"}})).http.https_proxy == "A");
  CHECK(config_of(whole_and({{"HTTPS_PROXY", ""}, {"https_proxy", "a"}})).http.https_proxy == "a");
  const Environment certificates = {{"SSL_CERT_FILE", of_variable.file()}, {"SSL_CERT_DIR", "/d"}};
  CHECK(config_of(whole_and(certificates)).http.ca_file == of_variable.file());
  CHECK(config_of(whole_and(certificates)).http.ca_dir == "/d");
  const auto flag = config_of(whole_and(certificates), {"--ca-file", of_flag.file()});
  CHECK(flag.http.ca_file == of_flag.file());
  CHECK(flag.command_ca_file == of_flag.file());
  CHECK(config_of(whole_and({{"ANTHROPIC_WORK_LAST_HEARTBEAT", "then"}})).last_heartbeat == "then");
}

TEST_CASE("config: a SSL_CERT_FILE that can't be used is passed by with a warning, as OpenSSL does") {
  for (const std::string file : {"/nope-x", "/etc/passwd"}) {
    CAPTURE(file);
    const auto config = config_of(whole_and({{"SSL_CERT_FILE", file}}));
    CHECK(config.http.ca_file.empty());
    REQUIRE(config.warnings.size() == 1);
    CHECK(config.warnings.front().starts_with("SSL_CERT_FILE: '" + file + "': "));
  }
}

TEST_CASE("config: the proxy that would be used must be right, and is named as it was set") {
  const std::pair<const char*, const char*> wrong[] = {{"notaproxy:port", "is not a URL like"},
                                                       {"http://[bad", "is not a URL like"},
                                                       {"https://u:hidden@h:1", "must begin with http://"},
                                                       {"socks5://h:1", "must begin with http://"}};
  for (const auto& [proxy, why] : wrong) {
    CAPTURE(proxy);
    for (const char* name : {"HTTPS_PROXY", "https_proxy"}) {
      const auto text = complaint(whole_and({{name, proxy}}));
      CHECK(text.starts_with(std::string(name) + ": the proxy " + why));
      CHECK(!has(text, "hidden"));
    }
    CHECK(complaint(whole_and({{"HTTP_PROXY", proxy}, {"ANTHROPIC_BASE_URL", "http://a.example"}}))
              .starts_with("HTTP_PROXY: "));
    // Those that aren't used may be another program's.
    CHECK(config_of(whole_and({{"HTTP_PROXY", proxy}})).warnings.empty());
    CHECK(config_of(whole_and({{"HTTPS_PROXY", proxy}, {"NO_PROXY", "*"}})).warnings.empty());
    CHECK(config_of(whole_and({{"HTTP_PROXY", proxy}, {"ANTHROPIC_BASE_URL", "http://127.0.0.1:9"}}))
              .warnings.empty());
  }
}

TEST_CASE("config: a base URL whose port is no number is refused, and the place of the secret named") {
  for (const char* url : {"http://127.0.0.1:8080abc", "http://127.0.0.1:abc", "http://127.0.0.1:-1"}) {
    CHECK(complaint(whole_and({{"ANTHROPIC_BASE_URL", url}})) ==
          "ANTHROPIC_BASE_URL (--base-url): has a port that is not between 1 and 65535");
  }
  // {"sessions_token":"t","api_base_url":"http://h:x"}
  const std::string secret = "eyJzZXNzaW9uc190b2tlbiI6InQiLCJhcGlfYmFzZV91cmwiOiJodHRwOi8vaDp4In0";
  CHECK(has(complaint(whole_and({{"ANTHROPIC_WORK_SECRET", secret}})),
            "api_base_url in ANTHROPIC_WORK_SECRET: has a port"));
  const TempDir dir;
  const auto file = dir.write("secret", secret);
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  CHECK(has(complaint(kWhole, {"--work-secret-file", file}),
            "api_base_url in ANTHROPIC_WORK_SECRET_FILE (--work-secret-file): has a port"));
}

TEST_CASE("config: a key in the place of anything else is refused, and never repeated") {
  const std::string key = "sk-ant-oat01-ABCHIDDEN";
  for (const Option& option : option_table()) {
    if (option.value_name.empty() || option.flag == "--environment-key") continue;
    CAPTURE(option.flag);
    // As it is, with what no id may hold, and inside of something else.
    for (const auto& value : {key, key + "+/x", "/run/" + key, std::string("whsec_ABCHIDDEN")}) {
      for (const bool as_flag : {false, true}) {
        Environment environment = kWhole;
        if (!as_flag) environment[std::string(option.variable)] = value;
        const auto arguments =
            as_flag ? std::vector<std::string>{std::string(option.flag), value} : std::vector<std::string>{};
        const auto text = complaint(environment, arguments);
        CAPTURE(text);
        CHECK(has(text, option.variable));
        CHECK(has(text, option.flag));
        CHECK(has(text, "looks like a key"));
        CHECK(!has(text, "HIDDEN"));
      }
    }
    for (const auto& foreign : option.foreign) {
      CAPTURE(foreign.name);
      const auto config = config_of(whole_and({{std::string(foreign.name), key}}));
      REQUIRE(config.warnings.size() == 1);
      CHECK(has(config.warnings.front(), foreign.name));
      CHECK(!has(config.warnings.front(), "HIDDEN"));
    }
  }
  for (const char* name : {"HTTPS_PROXY", "SSL_CERT_FILE"}) {
    const auto command = Arguments({}).parse(whole_and({{name, key}}));
    if (const auto* exit = std::get_if<Exit>(&command)) CHECK(!has(exit->text, "HIDDEN"));
    if (const auto* config = std::get_if<Config>(&command)) {
      REQUIRE(config->warnings.size() == 1);
      CHECK(!has(config->warnings.front(), "HIDDEN"));
    }
  }
  // Keys of other services are not ours to know, but an id is none of them.
  for (const char* flag : {"--session-id", "--work-id", "--environment-id"})
    CHECK(!has(complaint(kWhole, {flag, "sk-other-HIDDEN"}), "HIDDEN"));
  CHECK(!has(complaint(kWhole, {"--log-level", "sk-other-HIDDEN"}), "HIDDEN"));
  CHECK(config_of(kWhole, {"--workdir", "sk-learn"}).workdir == "sk-learn");
}

TEST_CASE("config: of flags and variables for the key, the nearest counts") {
  const TempDir dir;
  const auto file = dir.write("key", "of-file\n");
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  const Environment variable = {{"SANDBOX_WORKER_ENVIRONMENT_KEY_FILE", file}};
  CHECK(config_of(kWhole, {"--environment-key-file", file}).token == "of-file");
  CHECK(config_of(kWhole, {"--environment-key-file", file, "--environment-key", "of-flag"}).token ==
        "of-flag");
  CHECK(config_of(whole_and(variable)).token == "sk-ant-oat01-key");
  CHECK(config_of(whole_and(variable), {"--environment-key", "of-flag"}).token == "of-flag");
}

TEST_CASE("config: a workdir of another program's variable that is no directory is passed by") {
  const auto config = config_of(whole_and({{"AGENT_WORKDIR", "/etc/passwd"}, {"WORKSPACE_DIR", "/tmp"}}));
  CHECK(config.workdir == "/tmp");
  CHECK(config.workdir_name == "WORKSPACE_DIR");
  CHECK(config.warnings ==
        std::vector<std::string>{"AGENT_WORKDIR: '/etc/passwd' is not a directory; ignored"});
  const auto below = config_of(whole_and({{"WORKSPACE_DIR", "/etc/passwd/x"}}));
  CHECK(below.workdir == "/workspace");
  CHECK(below.workdir_name == "SANDBOX_WORKER_WORKDIR (--workdir)");
  CHECK(below.warnings.size() == 1);
}

TEST_CASE("config: further headers are taken line by line; what would break a request is left out") {
  const auto config = config_of(whole_and({{"ANTHROPIC_CUSTOM_HEADERS",
                                            "X-One: 1\r\n\nx-two:\t2 : 3\nno colon\nbad name: x\n"
                                            "Authorization: Bearer theirs\nHost: other\nx-three: a\x01z"}}));
  CHECK(config.http.headers == Headers{{"x-one", "1"}, {"x-two", "2 : 3"}});
  CHECK(config.warnings.size() == 5);
  for (const auto& warning : config.warnings) CHECK(!has(warning, "theirs"));
}

TEST_CASE("config: headers that the worker says or expects itself are reserved, in any case") {
  for (const char* name : {"User-Agent", "ACCEPT-ENCODING", "expect", "TE", "Upgrade", "Proxy-Authorization",
                           "Content-Length", "Anthropic-Beta"}) {
    CAPTURE(name);
    const auto config = config_of(whole_and({{"ANTHROPIC_CUSTOM_HEADERS", std::string(name) + ": x"}}));
    CHECK(config.http.headers.empty());
    REQUIRE(config.warnings.size() == 1);
    CHECK(has(config.warnings.front(), "is the worker's own; ignored"));
  }
}

TEST_CASE("config: help and version go to stdout with status 0") {
  const auto version = Arguments({"--version"}).parse({});
  REQUIRE(std::get_if<Exit>(&version));
  CHECK(std::get<Exit>(version).status == 0);
  CHECK(std::get<Exit>(version).text.starts_with("sandbox-worker "));
  const auto help = Arguments({"--help"}).parse({});
  REQUIRE(std::get_if<Exit>(&help));
  CHECK(std::get<Exit>(help).status == 0);
  for (const Option& option : option_table()) {
    CAPTURE(option.flag);
    CHECK(has(std::get<Exit>(help).text, option.flag));
    CHECK(has(std::get<Exit>(help).text, option.variable));
    for (const auto& foreign : option.foreign) CHECK(has(std::get<Exit>(help).text, foreign.name));
  }
  const auto& text = std::get<Exit>(help).text;
  for (const char* name : {"ANTHROPIC_WORK_SECRET ", "ANTHROPIC_CUSTOM_HEADERS", "HTTPS_PROXY", "HTTP_PROXY",
                           "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}) {
    CAPTURE(name);
    CHECK(has(text, name));
  }
  CHECK(!text.ends_with("\n\n"));
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    const auto line = text.substr(begin, text.find('\n', begin) - begin);
    CAPTURE(line);
    CHECK(line.size() <= 80);
    CHECK(!line.ends_with(' '));
  }
}

TEST_CASE("config: a tool is run without any session") {
  const auto command = Arguments({"tool", "bash", R"({"command":"x"})", "--workdir", "/w"}).parse({});
  const auto* tool = std::get_if<ToolCommand>(&command);
  REQUIRE(tool);
  CHECK(tool->name == "bash");
  CHECK(tool->input == R"({"command":"x"})");
  CHECK(tool->config.workdir == "/w");
  CHECK(has(complaint({}, {"tool", "bash"}), "usage"));
}

TEST_CASE("config: a tool's input is taken as it is, also where it looks like a list or nothing at all") {
  for (const std::string input :
       {"[]", "[1,2]", R"(["a"])", R"([{"command":"x"}])", "{}", "%%", "", "-5", "[", "]"}) {
    CAPTURE(input);
    const auto command = Arguments({"beta:worker", "tool", "bash", input}).parse({});
    const auto* tool = std::get_if<ToolCommand>(&command);
    REQUIRE(tool);
    CHECK(tool->name == "bash");
    CHECK(tool->input == input);
  }
  CHECK(has(complaint({}, {"[tool]", "bash", "{}"}), "the only commands are 'run' and 'tool'"));
  CHECK(has(complaint({}, {"{}"}), "the only commands are 'run' and 'tool'"));
  CHECK(has(complaint({}, {"tool", "bash", "{}", "[]"}), "usage"));
  CHECK(has(complaint({}, {"beta:worker", "tool", "bash", "{}", "{}"}), "usage"));
  CHECK(has(complaint({}, {"beta:worker", "tool", "bash", "{}", "{}", "{}"}), "can't be understood"));
}

TEST_CASE("config: a mistyped flag is named, but nothing that may be a key") {
  CHECK(complaint({}, {"--work-dir", "/w"}) == "there is no flag --work-dir; see --help");
  CHECK(complaint({}, {"run", "--work-dir=/w"}) == "there is no flag --work-dir; see --help");
  CHECK(complaint({}, {"--environment-kee", "sk-secret"}) ==
        "there is no flag --environment-kee; see --help");
  for (const std::string secret :
       {"--sk-ant-oat01-Abc", "--environment-keysecret", "--environment-key-secret=x", "-sk-secret",
        "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "sk\n"}) {
    CAPTURE(secret);
    CHECK(complaint({}, {"run", "--no_flag", secret}) == "an argument that can't be understood; see --help");
  }
  const std::string unclear = "an argument that can't be understood; see --help";
  CHECK(complaint({}, {"run", "--no_flag", "--", "--workdir"}) == unclear);
  CHECK(complaint({}, {"run", "a", "b", "c", "d", "e", "f", "--", "--workdir"}) == unclear);
}

TEST_CASE("config: of a variable that is set twice, the first counts, as getenv has it") {
  const char* const block[] = {"A=1", "A=2", "B=x=y", "broken", "C=", nullptr};
  CHECK(environment_of(block) == Environment{{"A", "1"}, {"B", "x=y"}, {"C", ""}});
}
