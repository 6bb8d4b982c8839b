#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/session_server/wire.hpp"

namespace session_server {

/// One clock for the lease and for time stamps: the server's own view, whatever the worker's clock does.
using Time = std::chrono::system_clock::time_point;

/// As the service writes times, in UTC with microseconds.
std::string timestamp(Time time);

enum class Auth { key, secret, secret_and_key };  // what the worker is given; a secret's token must be used

struct WorkSettings {
  Auth auth = Auth::key;
  int ttl_seconds = 30;
  std::string state = "active";  // as heartbeats show it
  std::string begun;  // the last_heartbeat of a lease that the claimer has begun already; empty: it has not
  /// Values given out as last_heartbeat, in turn, the last one for good; empty: time stamps.
  std::vector<std::string> last_heartbeats;
};

struct SessionSettings {
  std::string status = "running";
  Json agent = Json::object();  // merged over an agent without skills
  Json resources = Json::array();
  std::size_t page_size = 1000;  // history pages have at most this many events, whatever the limit asked for
  unsigned empty_pages = 0;      // pages without events before the first one
  bool accept_duplicates = false;  // a second answer to a call is stored, not refused with 400
  std::vector<std::string> tools = {"bash", "read", "write",
                                    "edit", "glob", "grep"};  // what the worker may answer
};

/// How the event stream is written; every form is one that the service or a proxy on the way may use.
struct StreamSettings {
  enum class Names { type, message, none };
  Names names = Names::type;
  std::string newline = "\n";
  bool chunked = true;
  bool split_bytes = false;              // each byte in a packet of its own
  std::chrono::milliseconds ping{5000};  // 0: none
};

struct Settings {
  std::string session_id = "sesn_01TestSession";
  std::string work_id = "work_01TestWork";
  std::string environment_id = "env_01TestEnvironment";
  std::string key = "sk-ant-oat01-test-environment-key";
  std::string token = "sk-ant-req-test-sessions-token";
  std::string path_prefix;  // of the base URL, without a slash at the end
  std::size_t max_body_bytes = 32 * 1024 * 1024;
  WorkSettings work;
  SessionSettings session;
  StreamSettings stream;
};

}  // namespace session_server
