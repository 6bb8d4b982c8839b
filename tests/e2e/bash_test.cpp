// The bash tool of the real program, where it needs a process of its own or rights of root.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/worker_run.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_certificates.hpp"

using namespace session_server;
using sandbox_worker::testing::leave_out;
using sandbox_worker::testing::TempDir;

namespace {

struct Ended {
  int status = -1;
  std::string text;  // stdout and stderr
};

Ended run_shell(const std::string& command) {
  std::FILE* pipe = ::popen(("timeout -k 5 60 sh -c '" + command + "' 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  Ended ended;
  for (int byte = 0; (byte = std::fgetc(pipe)) != EOF;) ended.text += static_cast<char>(byte);
  const int status = ::pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

/// The worker's `tool` command in `dir`; neither flags nor command may hold a single quote.
std::string tool_line(const TempDir& dir, const std::string& flags, const std::string& command) {
  return fmt::format(
      "SANDBOX_WORKER_RUNTIME_DIR={0}/run SANDBOX_WORKER_WORKDIR={0} {1} tool {2} bash "
      "\"{{\\\"command\\\": \\\"{3}\\\"}}\"",
      dir.path().string(), worker_binary(), flags, command);
}

Ended run_bash(const TempDir& dir, const std::string& flags, const std::string& command) {
  return run_shell(tool_line(dir, flags, command));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string first_line(const std::string& path, const std::string& beginning) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(beginning) || (beginning == ":memory:" && contains(line, beginning))) return line;
  return {};
}

/// A control group with 100 MB of memory; empty where none can be made.
std::string limited_group() {
  const std::string name = fmt::format("/sandbox-worker-e2e-{}", ::getpid());
  if (const auto line = first_line("/proc/self/cgroup", ":memory:"); !line.empty()) {
    const std::string group = "/sys/fs/cgroup/memory" + line.substr(line.find(":memory:") + 8) + name;
    if (::mkdir(group.c_str(), 0700) != 0) return {};
    std::ofstream(group + "/memory.limit_in_bytes") << "100M";
    return group;
  }
  const std::string group = "/sys/fs/cgroup" + name;
  if (::mkdir(group.c_str(), 0700) != 0) return {};
  std::ofstream limit(group + "/memory.max");
  limit << "100M" << std::flush;
  if (limit) return group;
  ::rmdir(group.c_str());
  return {};
}

}  // namespace

TEST_CASE("bash: killed for memory is said when the kernel did it, and only then; the worker lives") {
  const std::string group = limited_group();
  if (group.empty()) {
    leave_out("MEMORY_LIMITS");
    return;
  }
  TempDir dir;
  const std::string enter = fmt::format("echo $$ >{}/cgroup.procs && exec env ", group);
  const auto killed = run_shell(enter + tool_line(dir, "", "echo begun; tail /dev/zero"));
  CHECK_MESSAGE(contains(killed.text, "begun\n"), killed.text);
  CHECK_MESSAGE(contains(killed.text, "[exit status 137: SIGKILL; killed: out of memory]"), killed.text);
  CHECK(killed.status == 1);
  const auto other = run_shell(enter + tool_line(dir, "", "sleep 1000 & kill -9 \\$!; wait \\$!"));
  CHECK_MESSAGE(contains(other.text, "[exit status 137: SIGKILL]"), other.text);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (::rmdir(group.c_str()) != 0 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  CHECK_FALSE(std::filesystem::exists(group));
}

TEST_CASE("bash: commands are killed for memory before the worker") {
  TempDir dir;
  CHECK(run_bash(dir, "", "cat /proc/self/oom_score_adj").text == "800\n");
}

TEST_CASE("bash: what it can't do without is told at the start") {
  if (run_shell("unshare -m true").status != 0) {
    leave_out("NAMESPACES");
    return;
  }
  std::map<std::string, std::string> told{
      {"mount --bind /dev/null /bin/bash",
       "sandbox-worker: /bin/bash is missing or can't be run; the bash tool needs it in the image\n"}};
  if (!is_sanitized())  // a sanitizer needs it itself
    told["mount -t tmpfs none /proc"] = "sandbox-worker: /proc is missing; the bash tool needs it mounted\n";
  for (const auto& [mount, text] : told) {
    CAPTURE(mount);
    TempDir dir;
    const auto ended = run_shell(fmt::format(
        "unshare -m --propagation private sh -c \"{2} && exec env SANDBOX_WORKER_RUNTIME_DIR={0}/run "
        "SANDBOX_WORKER_WORKDIR={0} {1} tool bash {{}}\"",
        dir.path().string(), worker_binary(), mount));
    CHECK(ended.status == 2);
    CHECK(ended.text == text);
  }
}

TEST_CASE("bash: --env-file adds variables; what is wrong in it ends the start and names file and line") {
  TempDir dir;
  const auto file = dir.write("env", "# for the agent\nexport GREETING=\"good day\"\nTERM=vt100\n");
  CHECK(run_bash(dir, "--env-file " + file, "echo \\$GREETING \\$TERM").text == "good day vt100\n");
  dir.write("env", "A=1\nANTHROPIC_API_KEY=sk-secret\n");
  const auto refused = run_bash(dir, "--env-file " + file, "true");
  CHECK(refused.status == 2);
  CHECK(refused.text == fmt::format("sandbox-worker: SANDBOX_WORKER_ENV_FILE (--env-file): {}: line 2: "
                                    "ANTHROPIC_API_KEY is not for commands (ANTHROPIC_*, SANDBOX_WORKER_*)\n",
                                    file));
}

TEST_CASE("bash: a --ca-file is handed on, as an absolute path; SSL_CERT_FILE alone stays what it is") {
  TempDir dir;
  const sandbox_worker::tests::TestCa authority;
  std::filesystem::copy_file(authority.file(), dir / "ca.pem");
  const std::string names =
      "for n in GIT_SSL_CAINFO CURL_CA_BUNDLE SSL_CERT_FILE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS;"
      " do echo \\${!n-none}; done";
  const auto clean =
      "cd " + dir.path().string() +
      " && env -u GIT_SSL_CAINFO -u CURL_CA_BUNDLE -u REQUESTS_CA_BUNDLE -u NODE_EXTRA_CA_CERTS ";
  std::string all;
  for (int i = 0; i < 5; ++i) all += dir / "ca.pem" + "\n";
  CHECK(run_shell(clean + tool_line(dir, "--ca-file ca.pem", names)).text == all);
  CHECK(run_shell(clean + "SSL_CERT_FILE=ca.pem " + tool_line(dir, "", names)).text ==
        "none\nnone\nca.pem\nnone\nnone\n");
}

TEST_CASE("bash: --spill-dir has what doesn't fit, and is empty again at the end") {
  const TempDir dir;
  SessionServer server;
  WorkerRun run(&server, {.arguments = {"--spill-dir", dir / "made/here"}});
  const auto text = bash(server, "sevt_1", "seq 200000");
  CHECK(contains(text, "; the whole output is in " + dir / "made/here/session-"));
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
  CHECK(std::filesystem::is_empty(dir / "made/here"));
}

TEST_CASE("write: --private-files makes files for their owner alone") {
  TempDir dir;
  const auto mode_of = [&](const std::string& flags, const std::string& name) {
    const auto ended = run_shell(
        fmt::format("umask 022; SANDBOX_WORKER_RUNTIME_DIR={0}/run SANDBOX_WORKER_WORKDIR={0} {1} tool {2} "
                    "write \"{{\\\"file_path\\\": \\\"{3}\\\", \\\"content\\\": \\\"x\\\"}}\"",
                    dir.path().string(), worker_binary(), flags, name));
    REQUIRE_MESSAGE(ended.status == 0, ended.text);
    struct stat info{};
    REQUIRE(::stat((dir / name).c_str(), &info) == 0);
    return info.st_mode & 0777U;
  };
  CHECK(mode_of("", "open") == 0644);
  CHECK(mode_of("--private-files", "closed") == 0600);
}
