#include "tests/support/append_only.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace sandbox_worker::testing {
namespace {

bool set_append_only(int fd, bool on) {
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return false;
  flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
  return ::ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

}  // namespace

AppendOnly::AppendOnly(const std::string& directory)
    : fd_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      done_(set_append_only(fd_.get(), true)) {}

AppendOnly::~AppendOnly() {
  if (done_) set_append_only(fd_.get(), false);
}

}  // namespace sandbox_worker::testing
