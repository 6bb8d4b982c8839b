#pragma once

#include <cstdio>
#include <string>

#include "tests/session_server/session_state.hpp"

namespace session_server {

/// Shows a session as it happens: `→ write hello.txt · ✓ 3 ms`. Used by one thread.
class Console {
 public:
  /// `out` null: says nothing.
  explicit Console(std::FILE* out) : out_(out) {}

  void running(const std::string& what);
  void made(const NewCall& call);
  void answered(const Call& call);
  void note(const std::string& text);
  void done(const std::string& summary);
  void problem(const std::string& text);
  /// The whole answer and its time, as a person in the shell wants to see it.
  void result(const Call& call);

 private:
  void end_line();
  void put(const std::string& text);

  std::FILE* out_;
  std::string open_call_;  // the call whose line has no end yet
};

}  // namespace session_server
