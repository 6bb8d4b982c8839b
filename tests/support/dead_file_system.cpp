#include "tests/support/dead_file_system.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string_view>
#include <vector>

namespace sandbox_worker::testing {
namespace {

constexpr std::uint64_t kFile = FUSE_ROOT_ID + 1;

struct Request {
  fuse_in_header header;
  std::string_view argument;
};

bool mount_fuse(int device, const std::string& where) {
  const auto options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", device);
  return device >= 0 && ::mount("dead", where.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
}

void reply(int device, const Request& request, int error, const void* body = nullptr, std::size_t size = 0) {
  fuse_out_header header{.len = static_cast<std::uint32_t>(sizeof(fuse_out_header) + size),
                         .error = -error,
                         .unique = request.header.unique};
  const std::array<iovec, 2> parts{iovec{&header, sizeof header}, iovec{const_cast<void*>(body), size}};
  // Whoever asked may have been killed meanwhile.
  static_cast<void>(::writev(device, parts.data(), static_cast<int>(parts.size())));
}

template <class Body>
void reply_with(int device, const Request& request, const Body& body) {
  reply(device, request, 0, &body, sizeof body);
}

fuse_attr attributes_of(std::uint64_t node) {
  fuse_attr attributes{};
  attributes.ino = node;
  attributes.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
  attributes.nlink = 1;
  return attributes;
}

/// Names and attributes are good for 0 s, so that the kernel asks for them each time.
void answer(int device, const Request& request) {
  switch (request.header.opcode) {
    case FUSE_INIT: {
      fuse_init_out body{};
      body.major = FUSE_KERNEL_VERSION;
      body.minor = FUSE_KERNEL_MINOR_VERSION;
      body.max_write = FUSE_MIN_READ_BUFFER / 2;
      return reply_with(device, request, body);
    }
    case FUSE_LOOKUP: {
      if (request.argument != std::string_view("file\0", 5)) return reply(device, request, ENOENT);
      fuse_entry_out body{};
      body.nodeid = kFile;
      body.attr = attributes_of(kFile);
      return reply_with(device, request, body);
    }
    case FUSE_GETATTR: {
      fuse_attr_out body{};
      body.attr = attributes_of(request.header.nodeid);
      return reply_with(device, request, body);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR:
      return reply_with(device, request, fuse_open_out{});
    case FUSE_STATFS:
      return reply_with(device, request, fuse_statfs_out{});
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_ACCESS:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      return reply(device, request, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;  // they have no answer
    default:
      return reply(device, request, ENOSYS);
  }
}

}  // namespace

DeadFileSystem::DeadFileSystem(std::chrono::seconds patience)
    : patience_(patience),
      device_(::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      mounted_(mount_fuse(device_.get(), path())) {
  if (mounted_) server_ = std::thread([this] { serve(); });
}

DeadFileSystem::~DeadFileSystem() {
  if (!mounted_) return;
  stop_serving();
  watchdog_ = {};
  let_go();
}

void DeadFileSystem::die() {
  stop_serving();
  watchdog_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

bool DeadFileSystem::hangs_somebody() const {
  pollfd asked{.fd = device_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&asked, 1, 0) == 1;
}

void DeadFileSystem::serve() const {
  std::vector<char> bytes(FUSE_MIN_READ_BUFFER);  // who has less room gets no request
  for (;;) {
    std::array<pollfd, 2> ready{pollfd{.fd = device_.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
    ::poll(ready.data(), ready.size(), -1);
    if (ready[1].revents != 0) return;
    const ssize_t size = ::read(device_.get(), bytes.data(), bytes.size());
    if (size < 0 && errno == ENODEV) return;  // someone has unmounted it
    if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
    Request request;
    std::memcpy(&request.header, bytes.data(), sizeof request.header);
    request.argument = {bytes.data() + sizeof request.header,
                        static_cast<std::size_t>(size) - sizeof request.header};
    answer(device_.get(), request);
  }
}

void DeadFileSystem::stop_serving() {
  if (!server_.joinable()) return;
  ::eventfd_write(stop_.get(), 1);
  server_.join();
}

void DeadFileSystem::watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, patience_, [] { return false; });
  if (stop.stop_requested()) return;
  lost_patience_ = true;
  let_go();
}

/// By force, which wakes everybody. Closing the device wouldn't, where a child hangs between fork and exec:
/// it has that open, too.
void DeadFileSystem::let_go() const {
  ::umount2(path().c_str(), MNT_FORCE | MNT_DETACH);
}

}  // namespace sandbox_worker::testing
