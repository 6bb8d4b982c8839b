#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tests {

/// A name server on a UDP port of loopback.
class FakeDns {
 public:
  enum class Kind { a, aaaa };
  struct NoSuchName {};
  struct Silence {};
  using Addresses = std::vector<std::string>;
  using Answer = std::variant<Addresses, NoSuchName, Silence>;
  using Rule = std::function<Answer(const std::string& name, Kind kind)>;

  explicit FakeDns(Rule rule);
  ~FakeDns();
  FakeDns(const FakeDns&) = delete;
  FakeDns& operator=(const FakeDns&) = delete;

  /// `127.0.0.1:port`
  std::string server() const;

 private:
  void serve();
  std::string reply_to(std::string_view query) const;

  Rule rule_;
  tools::UniqueFd socket_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace sandbox_worker::tests
