#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sandbox_worker::protocol {

/// One HTTP request as data, without what is the same for all (base URL, credentials, versions).
struct Request {
  std::string method;
  std::string target;  // origin form, percent-encoded, relative to the base URL's path
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // empty: none; else application/json
};

}  // namespace sandbox_worker::protocol
