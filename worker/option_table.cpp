#include "worker/option_table.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr ForeignName kWorkdir[] = {
    {"ANTHROPIC_WORKDIR"}, {"APP_SANDBOX_WORKDIR"}, {"SBX_WORKDIR"}, {"AGENT_WORKDIR"}, {"WORKSPACE_DIR"}};
constexpr ForeignName kMaxIdle[] = {{"RUNNER_MAX_IDLE_SECONDS", Form::seconds},
                                    {"WORKER_MAX_IDLE_SECONDS", Form::seconds_or_off},
                                    {"WORKER_MAX_IDLE", Form::seconds},
                                    {"APP_SANDBOX_IDLE_TIMEOUT_SECONDS", Form::seconds},
                                    {"SBX_MAX_IDLE", Form::seconds},
                                    {"ANT_MAX_IDLE", Form::seconds},
                                    {"WORK_IDLE_EXIT_MS", Form::milliseconds}};
constexpr ForeignName kMaxRun[] = {{"WORKER_RUN_SECONDS", Form::seconds},
                                   {"OMNIRUN_MAX_RUNTIME", Form::seconds}};
constexpr ForeignName kLogLevel[] = {{"LOG_LEVEL"}, {"APP_LOG_LEVEL"}, {"WORKER_DEBUG", Form::debug_switch}};
constexpr ForeignName kRepoSource[] = {{"APP_SANDBOX_REPO_IMAGE_PATH"}};
constexpr ForeignName kRepoName[] = {{"APP_SANDBOX_REPO_WORKDIR_NAME"}};

constexpr Option kOptions[] = {
    {"--session-id", "ANTHROPIC_SESSION_ID", {}, "ID", "the session to serve (sesn_...)"},
    {"--work-id", "ANTHROPIC_WORK_ID", {}, "ID", "the claimed work item (work_...)"},
    {"--environment-id", "ANTHROPIC_ENVIRONMENT_ID", {}, "ID", "the environment (env_...)"},
    {"--environment-key",
     "ANTHROPIC_ENVIRONMENT_KEY",
     {},
     "KEY",
     "the environment's key; on the command line anyone can read it, so prefer the variable or the file"},
    {"--environment-key-file",
     "SANDBOX_WORKER_ENVIRONMENT_KEY_FILE",
     {},
     "FILE",
     "a file that holds the key"},
    {"--work-secret-file",
     "ANTHROPIC_WORK_SECRET_FILE",
     {},
     "FILE",
     "a file that holds the work item's secret; ANTHROPIC_WORK_SECRET has the secret itself"},
    {"--last-heartbeat",
     "ANTHROPIC_WORK_LAST_HEARTBEAT",
     {},
     "TEXT",
     "of a lease that the claimer has already begun"},
    {"--base-url",
     "ANTHROPIC_BASE_URL",
     {},
     "URL",
     "the service, with an optional path (https://api.anthropic.com)"},
    {"--workdir", "SANDBOX_WORKER_WORKDIR", kWorkdir, "DIR",
     "where tools work; made when missing (/workspace)"},
    {"--allow-root",
     "SANDBOX_WORKER_ALLOW_ROOT",
     {},
     "DIR",
     "a further directory that file tools may touch; repeatable (in the variable separated by colons)"},
    {"--runtime-dir",
     "SANDBOX_WORKER_RUNTIME_DIR",
     {},
     "DIR",
     "private files of the worker ($XDG_RUNTIME_DIR/sandbox-worker, /run/sandbox-worker or "
     "/tmp/sandbox-worker-<uid>)"},
    {"--max-idle", "SANDBOX_WORKER_MAX_IDLE", kMaxIdle, "TIME",
     "end after the session was idle for so long (60s)"},
    {"--max-run", "SANDBOX_WORKER_MAX_RUN", kMaxRun, "TIME", "end after so long in any case (0)"},
    {"--tool-timeout",
     "SANDBOX_WORKER_TOOL_TIMEOUT",
     {},
     "TIME",
     "limit of a bash call that names none (120s)"},
    {"--max-tool-timeout",
     "SANDBOX_WORKER_MAX_TOOL_TIMEOUT",
     {},
     "TIME",
     "the longest that a bash call may ask (30m)"},
    {"--search-timeout", "SANDBOX_WORKER_SEARCH_TIMEOUT", {}, "TIME", "limit of a glob or grep call (60s)"},
    {"--max-read-bytes", "SANDBOX_WORKER_MAX_READ_BYTES", {}, "N", "text that one read gives uncut (262144)"},
    {"--max-edit-bytes", "SANDBOX_WORKER_MAX_EDIT_BYTES", {}, "N", "largest file that edit takes (16777216)"},
    {"--connect-timeout", "SANDBOX_WORKER_CONNECT_TIMEOUT", {}, "TIME", "to connect to the service (10s)"},
    {"--tls-timeout", "SANDBOX_WORKER_TLS_TIMEOUT", {}, "TIME", "for the TLS handshake (10s)"},
    {"--write-timeout",
     "SANDBOX_WORKER_WRITE_TIMEOUT",
     {},
     "TIME",
     "without progress while a request is sent (30s)"},
    {"--response-timeout", "SANDBOX_WORKER_RESPONSE_TIMEOUT", {}, "TIME", "to the answer of a request (60s)"},
    {"--stream-silence",
     "SANDBOX_WORKER_STREAM_SILENCE",
     {},
     "TIME",
     "without a byte on the event stream, then it is opened anew (60s)"},
    {"--ca-file",
     "SANDBOX_WORKER_CA_FILE",
     {},
     "FILE",
     "certificates to trust (SSL_CERT_FILE, SSL_CERT_DIR, or the system's)"},
    {"--repo-image-path", "SANDBOX_WORKER_REPO_IMAGE_PATH", kRepoSource, "DIR",
     "a repository in the image to copy into the workdir when it isn't there"},
    {"--repo-workdir-name", "SANDBOX_WORKER_REPO_WORKDIR_NAME", kRepoName, "NAME",
     "the copy's name in the workdir (the source's own)"},
    {"--log-format", "SANDBOX_WORKER_LOG_FORMAT", {}, "text|json", "of the log on stderr (text)"},
    {"--log-level", "SANDBOX_WORKER_LOG_LEVEL", kLogLevel, "LEVEL", "debug, info, warn or error (info)"},
    {"--unrestricted-paths", "", {}, "", "accepted for old scripts; does nothing, see --allow-root"},
};

}  // namespace

std::span<const Option> option_table() {
  return kOptions;
}

}  // namespace sandbox_worker::worker
