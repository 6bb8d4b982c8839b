#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "tools/limits.hpp"

namespace sandbox_worker::tools {

class FileLocks;
class Workspace;

/// What read, write and edit need. The pointers must outlive the tool and its calls.
struct FileToolOptions {
  const Workspace* workspace = nullptr;
  FileLocks* locks = nullptr;         // one for all lanes; read needs none
  boost::asio::any_io_executor pool;  // where files are read and written
  Limits limits;
  bool private_files = false;  // new files and directories are for their owner alone
};

}  // namespace sandbox_worker::tools
