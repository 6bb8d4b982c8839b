#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace sandbox_worker::tests {

/// In a namespace made here, packets to this address vanish; it is the only name server as well.
inline constexpr const char* kSilentAddress = "127.9.9.9";

/// Runs `body` on a thread in a network namespace of its own, which has loopback and nothing else. Threads
/// and processes that `body` starts are in it as well. Exceptions come out here. Throws std::system_error
/// where namespaces are not permitted: it takes root (CAP_SYS_ADMIN and CAP_NET_ADMIN).
void in_net_namespace(const std::function<void()>& body);

/// True when the one who runs the tests said that this machine permits no namespaces
/// (SANDBOX_TESTS_WITHOUT_NAMESPACES=1). It is never guessed, so that such tests aren't left out by accident.
bool without_namespaces();

/// Drops every packet of the TCP connections that are established now with that local server, in both
/// directions, without a reset. Uses nft; throws when it fails. Says how many.
std::size_t drop_established(std::uint16_t server_port);

}  // namespace sandbox_worker::tests
