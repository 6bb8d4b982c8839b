#pragma once

#include <ares.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/client/deadline.hpp"

namespace sandbox_worker::worker {

/// One c-ares channel, driven by Asio, for the queries of one name. Make it with make_shared: its socket
/// handlers hold it weakly. Executor: all on the one given.
class Lookup : public std::enable_shared_from_this<Lookup> {
 public:
  /// `sources` as c-ares writes them: "f" the hosts file, "b" the name servers.
  Lookup(const boost::asio::any_io_executor& executor, const char* sources, const std::string& servers);
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  /// Begins a query; AF_UNSPEC is both families in one. The hosts file is answered before this returns.
  void ask(const std::string& host, int family);

  /// Until all queries are answered, or one has been and the others had a moment more, or `deadline`.
  boost::asio::awaitable<void> finish(Deadline deadline);

  std::vector<boost::asio::ip::address> addresses;
  std::vector<int> failures;  // c-ares codes of the queries that gave nothing

 private:
  struct Watch;

  static void on_answer(void* self, int status, int timeouts, ares_addrinfo* answer);
  static void on_socket_state(void* self, ares_socket_t fd, int readable, int writable);
  void take_answer(int status, ares_addrinfo* answer);
  void watch(ares_socket_t fd, bool readable, bool writable);
  void arm(ares_socket_t fd, Want want);
  void on_ready(ares_socket_t fd, Want want, std::uint64_t watch_id);

  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer wake_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, std::unique_ptr<Watch>> watches_;
  std::uint64_t last_watch_ = 0;  // descriptors are reused, so a handler names its watch too
  int pending_ = 0;
  Deadline grace_ = kNoDeadline;
};

}  // namespace sandbox_worker::worker
