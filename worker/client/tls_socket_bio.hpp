#pragma once

struct bio_st;

namespace sandbox_worker::worker {

/// OpenSSL's view of a socket. Its own one writes with write(), which raises SIGPIPE on a closed connection.
bio_st* make_socket_bio(int fd);

}  // namespace sandbox_worker::worker
