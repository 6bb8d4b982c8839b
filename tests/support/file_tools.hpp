#pragma once

#include <boost/asio/thread_pool.hpp>
#include <string>

#include "tests/support/run_tool.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/edit.hpp"
#include "tools/file_lock.hpp"
#include "tools/read.hpp"
#include "tools/workspace.hpp"
#include "tools/write.hpp"

namespace sandbox_worker::testing {

/// The file tools on a new, empty workdir.
struct FileTools {
  TempDir dir;
  tools::Workspace workspace = tools::Workspace::open(dir.path().string(), {}).value();
  tools::FileLocks locks;
  boost::asio::thread_pool pool{2};
  tools::FileToolOptions options{.workspace = &workspace,
                                 .locks = &locks,
                                 .pool = pool.get_executor(),
                                 .limits = {},
                                 .private_files = false};

  std::string read(nlohmann::json input) const { return call(tools::Read(options), std::move(input)); }
  std::string write(nlohmann::json input) const { return call(tools::Write(options), std::move(input)); }
  std::string edit(nlohmann::json input) const { return call(tools::Edit(options), std::move(input)); }

 private:
  static std::string call(auto tool, nlohmann::json input) {
    return text_of(run_tool(tool, std::move(input)));
  }
};

}  // namespace sandbox_worker::testing
